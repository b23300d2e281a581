package check

import (
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

func TestWithAllocated(t *testing.T) {
	const (
		single = `"clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack"`
		dual   = `"clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00::9"],"ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"PreferDualStack"`
	)
	for name, c := range map[string]struct{ spec, stored, want string }{
		"node port": {`{"type":"NodePort","ports":[{"port":80}]}`, `{"type":"NodePort",` + single + `,"ports":[{"port":80,"nodePort":30080}]}`,
			`{"type":"NodePort",` + single + `,"ports":[{"port":80,"nodePort":30080}]}`},
		"written as empty": {`{"clusterIP":"","clusterIPs":[],"ipFamilies":null,"ipFamilyPolicy":null}`, `{` + single + `}`, `{` + single + `}`},
		"by name": {`{"type":"NodePort","ports":[{"name":"b","port":80},{"name":"c","port":81}]}`,
			`{"type":"NodePort","ports":[{"name":"a","port":80,"nodePort":30080},{"name":"b","port":81,"nodePort":30081}]}`,
			`{"type":"NodePort","ports":[{"name":"b","port":80,"nodePort":30081},{"name":"c","port":81}]}`},
		"given to another": {`{"type":"NodePort","ports":[{"name":"a","port":80},{"name":"b","port":81,"nodePort":30080}]}`,
			`{"type":"NodePort","ports":[{"name":"a","port":80,"nodePort":30080}]}`,
			`{"type":"NodePort","ports":[{"name":"a","port":80},{"name":"b","port":81,"nodePort":30080}]}`},
		"another node port": {`{"type":"NodePort","ports":[{"port":80,"nodePort":30081}]}`,
			`{"type":"NodePort","ports":[{"port":80,"nodePort":30080}]}`, `{"type":"NodePort","ports":[{"port":80,"nodePort":30081}]}`},
		"balancer": {`{"type":"LoadBalancer","allocateLoadBalancerNodePorts":true,"externalTrafficPolicy":"Local","ports":[{"port":80}]}`,
			`{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30100,"ports":[{"port":80,"nodePort":30080}]}`,
			`{"type":"LoadBalancer","allocateLoadBalancerNodePorts":true,"externalTrafficPolicy":"Local","healthCheckNodePort":30100,"ports":[{"port":80,"nodePort":30080}]}`},
		"switched off": {`{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]}`,
			`{"type":"LoadBalancer","allocateLoadBalancerNodePorts":true,"ports":[{"port":80,"nodePort":30080}]}`,
			`{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]}`},
		"to cluster IP": {`{"type":"ClusterIP","ports":[{"port":80}]}`, `{"type":"NodePort",` + dual + `,"ports":[{"port":80,"nodePort":30080}]}`,
			`{"type":"ClusterIP",` + dual + `,"ports":[{"port":80}]}`},
		"to single stack": {`{"type":"ClusterIP","ipFamilyPolicy":"SingleStack"}`, `{"type":"ClusterIP",` + dual + `}`, `{"type":"ClusterIP",` + single + `}`},
		"to an alias":     {`{"type":"ExternalName","externalName":"a.example.com"}`, `{"type":"ClusterIP",` + single + `}`, `{"type":"ExternalName","externalName":"a.example.com"}`},
		"from an alias":   {`{"type":"ClusterIP"}`, `{"type":"ExternalName","externalName":"a.example.com"}`, `{"type":"ClusterIP"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := WithAllocated(parse(t, "Service", c.spec), parse(t, "Service", c.stored))
			if want := parse(t, "Service", c.want); err != nil || !got.Equal(want) {
				t.Errorf("got %s, %v, want %s", got, err, want)
			}
		})
	}
	other := parse(t, "Endpoints", `{"type":"NodePort"}`)
	if got, err := WithAllocated(other, parse(t, "Endpoints", `{`+single+`}`)); err != nil || !got.Equal(other) {
		t.Errorf("another kind: got %s, %v", got, err)
	}
}

func parse(t *testing.T, kind, spec string) engine.Document {
	t.Helper()
	document, err := engine.ParseJSON([]byte(`{"apiVersion":"v1","kind":"` + kind + `","metadata":{"name":"web","namespace":"shop"},"spec":` + spec + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return document
}
