package manifest

import (
	"strings"
	"testing"
)

// decodeCase is an object and either what is stored or what is wrong with it.
type decodeCase struct{ name, text, want string }

func decodeText(t *testing.T, text string, options Options) (Decoded, []Problem) {
	t.Helper()
	file := Read("f.yaml", []byte(text))
	if len(file.Problems) > 0 || len(file.Objects) != 1 {
		t.Fatalf("read: %v", file.Problems)
	}
	return Decode(file.Objects[0], options)
}

func TestDecodeDefaults(t *testing.T) {
	policy := "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: "
	storedPolicy := `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a","namespace":"default"},"spec":`
	service := "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ns}, spec: "
	storedService := `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"ns"},"spec":`
	cases := []decodeCase{
		{"no policyTypes, ingress only", policy + "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}}",
			storedPolicy + `{"ingress":[{"ports":[{"port":80,"protocol":"TCP"}]}],"podSelector":{},"policyTypes":["Ingress"]}}`},
		{"no policyTypes, egress", policy + "{podSelector: {}, egress: [{to: [], ports: [{port: dns, protocol: UDP}]}]}}",
			storedPolicy + `{"egress":[{"ports":[{"port":"dns","protocol":"UDP"}]}],"podSelector":{},"policyTypes":["Ingress","Egress"]}}`},
		{"empty egress", policy + "{podSelector: {matchLabels: {}}, egress: [], policyTypes: []}}",
			storedPolicy + `{"podSelector":{},"policyTypes":["Ingress"]}}`},
		{"an empty rule stays", policy + "{podSelector: null, egress: [{}], policyTypes: [Egress]}}",
			storedPolicy + `{"egress":[{}],"podSelector":{},"policyTypes":["Egress"]}}`},
		{"an empty selector stays", policy + "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}}",
			storedPolicy + `{"ingress":[{"from":[{"namespaceSelector":{}}]}],"podSelector":{},"policyTypes":["Ingress"]}}`},
		{"ClusterIP", service + "{ports: [{port: 80}, {port: 81, name: b, targetPort: x}], selector: {a: b}}}", ""},
		{"cluster IP service", service + "{ports: [{port: 80}]}}",
			storedService + `{"internalTrafficPolicy":"Cluster","ports":[{"port":80,"protocol":"TCP","targetPort":80}],"sessionAffinity":"None","type":"ClusterIP"}}`},
		{"external IPs", service + "{externalIPs: [192.0.2.1], ports: [{port: 80, targetPort: web}]}}",
			storedService + `{"externalIPs":["192.0.2.1"],"externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster","ports":[{"port":80,"protocol":"TCP","targetPort":"web"}],"sessionAffinity":"None","type":"ClusterIP"}}`},
		{"load balancer", service + "{type: LoadBalancer, sessionAffinity: ClientIP, ports: [{port: 80}]}, status: {loadBalancer: {}}}",
			storedService + `{"allocateLoadBalancerNodePorts":true,"externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster","ports":[{"port":80,"protocol":"TCP","targetPort":80}],"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":10800}},"type":"LoadBalancer"}}`},
		{"external name", service + "{type: ExternalName, externalName: a.example.com.}}",
			storedService + `{"externalName":"a.example.com.","sessionAffinity":"None","type":"ExternalName"}}`},
		{"namespace", "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: b}}",
			`{"apiVersion":"v1","kind":"Namespace","metadata":{"labels":{"kubernetes.io/metadata.name":"a"},"name":"a"},"spec":{"finalizers":["kubernetes"]}}`},
		{"generated namespace", "{apiVersion: v1, kind: Namespace, metadata: {generateName: a-}, status: {phase: Active}}",
			`{"apiVersion":"v1","kind":"Namespace","metadata":{"generateName":"a-"},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`},
		{"ingress class", "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: a}, spec: {controller: example.com/c, parameters: {kind: K, name: nm}}}",
			`{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"a"},"spec":{"controller":"example.com/c","parameters":{"kind":"K","name":"nm","scope":"Cluster"}}}`},
		{"ingress", "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, annotations: {a: ''}}, spec: {tls: [], defaultBackend: {service: {name: s, port: {name: web}}}}}",
			`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"annotations":{"a":""},"name":"a","namespace":"default"},"spec":{"defaultBackend":{"service":{"name":"s","port":{"name":"web"}}}}}`},
		{"pod on the host's network", "{apiVersion: v1, kind: Pod, metadata: {name: a, creationTimestamp: null}, spec: {hostNetwork: true, containers: [{name: c, ports: [{containerPort: 80}]}]}}",
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default"},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80,"hostPort":80,"protocol":"TCP"}],"resources":{}}],"dnsPolicy":"ClusterFirst","hostNetwork":true,"restartPolicy":"Always"}}`},
		{"cron job", "{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c}]}}}}}}",
			`{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a","namespace":"default"},"spec":{"jobTemplate":{"metadata":{},"spec":{"template":{"metadata":{},"spec":{"containers":[{"name":"c","resources":{}}],"dnsPolicy":"ClusterFirst","restartPolicy":"Never"}}}},"schedule":"* * * * *"}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			decoded, problems := decodeText(t, c.text, Options{})
			if c.want == "" {
				wantStrings(t, problemStrings(problems), "f.yaml:1:84: spec.ports[0].name: required value: every port of a Service with several ports has a name")
				return
			}
			wantStrings(t, problemStrings(problems))
			wantStrings(t, []string{string(decoded.JSON)}, c.want)
			again, problems := decodeText(t, string(decoded.JSON), Options{})
			wantStrings(t, problemStrings(problems))
			wantStrings(t, []string{string(again.JSON)}, c.want)
		})
	}
}

func TestDecodeWorkloads(t *testing.T) {
	for _, kind := range []string{"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"} {
		text := "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {a: b}}\n" +
			"  template:\n    metadata: {labels: {a: b}}\n    spec: {hostNetwork: true, containers: [{name: c, ports: [{containerPort: 1}]}]}\n"
		decoded, problems := decodeText(t, text, Options{Namespace: "ns"})
		wantStrings(t, problemStrings(problems))
		if want := `"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","ports":[{"containerPort":1,"protocol":"TCP"}],"resources":{}}],"dnsPolicy":"ClusterFirst","hostNetwork":true,"restartPolicy":"Always"}}`; !strings.Contains(string(decoded.JSON), want) || decoded.Namespace != "ns" {
			t.Errorf("%s: %s", kind, decoded.JSON)
		}
		_, problems = decodeText(t, strings.Replace(text, "matchLabels: {a: b}", "matchLabels: {a: c}", 1), Options{})
		wantStrings(t, problemStrings(problems), "f.yaml:7:16: spec.template.metadata.labels: invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`")
	}
}

func TestDecodeReplicationController(t *testing.T) {
	const head = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: a}\nspec:\n  replicas: 1\n"
	const template = "  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, ports: [{containerPort: 1}]}]}\n"
	decoded, problems := decodeText(t, head+template, Options{})
	wantStrings(t, problemStrings(problems))
	if want := `"selector":{"a":"b"},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","ports":[{"containerPort":1,"protocol":"TCP"}]`; !strings.Contains(string(decoded.JSON), want) {
		t.Errorf("%s", decoded.JSON)
	}
	_, problems = decodeText(t, head+template+"  selector: {a: c}\n", Options{})
	wantStrings(t, problemStrings(problems), "f.yaml:7:16: spec.template.metadata.labels: invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`")
	_, problems = decodeText(t, head, Options{})
	wantStrings(t, problemStrings(problems), "f.yaml:4:1: spec.template: required value: what its pods are made of")
	_, problems = decodeText(t, head+strings.Replace(template, "{a: b}", "{}", 1), Options{})
	wantStrings(t, problemStrings(problems), "f.yaml:4:1: spec.selector: required value: the labels of the template's pods")
}

func TestDecodeOtherKinds(t *testing.T) {
	for _, text := range []string{
		"{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}, spec: {x: y}}",
		"{apiVersion: example.com/v1, kind: networkpolicy, metadata: {name: a}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {1: b}}",
	} {
		file := Read("f.yaml", []byte(text))
		decoded, problems := Decode(file.Objects[0], Options{Namespace: "x"})
		if len(problems) > 0 || decoded.Known || string(decoded.JSON) != string(file.Objects[0].JSON) || decoded.Namespace != "" {
			t.Errorf("%v %+v", problems, decoded)
		}
	}
}

func TestDecodeVersions(t *testing.T) {
	for from, want := range map[string]string{
		"extensions/v1beta1, kind: Ingress":         "extensions/v1beta1 Ingress is no longer served; use networking.k8s.io/v1",
		"networking.k8s.io/v1beta1, kind: Ingress":  "networking.k8s.io/v1beta1 Ingress is no longer served; use networking.k8s.io/v1",
		"extensions/v1beta1, kind: NetworkPolicy":   "extensions/v1beta1 NetworkPolicy is no longer served; use networking.k8s.io/v1",
		"apps/v1beta2, kind: Deployment":            "apps/v1beta2 Deployment is no longer served; use apps/v1",
		"batch/v1beta1, kind: CronJob":              "batch/v1beta1 CronJob is no longer served; use batch/v1",
		"v1, kind: Ingress":                         "there is no Ingress in v1; use networking.k8s.io/v1",
		"networking.k8s.io/v1, kind: Service":       "there is no Service in networking.k8s.io/v1; use v1",
		"core/v1, kind: Service":                    "there is no Service in core/v1; use v1",
		"/v1, kind: Service":                        "there is no Service in /v1; use v1",
		"Networking.k8s.io/v1, kind: Ingress":       "there is no Ingress in Networking.k8s.io/v1; use networking.k8s.io/v1",
		"networking.k8s.io/v1, kind: Networkpolicy": "there is no Networkpolicy in networking.k8s.io/v1; use NetworkPolicy",
		"networking.k8s.io/v2, kind: NetworkPolicy": "there is no NetworkPolicy in networking.k8s.io/v2; use networking.k8s.io/v1",
	} {
		decoded, problems := decodeText(t, "{metadata: {name: a}, apiVersion: "+from+"}", Options{})
		wantStrings(t, problemStrings(problems), "f.yaml:1:23: apiVersion: "+want)
		if decoded.JSON != nil {
			t.Errorf("%s: %s", from, decoded.JSON)
		}
	}
}
