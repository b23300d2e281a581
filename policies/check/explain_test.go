package check_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

const several = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: gce, namespace: shop, annotations: {kubernetes.io/ingress.allow-http: "true"}}
spec: {ingressClassName: gce, rules: [{host: "*.example.com"}, {host: a.example.com}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: traefik, namespace: shop}
spec: {ingressClassName: traefik, tls: [{hosts: [b.example.com], secretName: b}], rules: [{host: b.example.com}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: wide, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress], egress: [{to: [{ipBlock: {cidr: 10.0.0.1/8}}, {ipBlock: {cidr: 0.0.0.0/0}}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: ips, namespace: shop}
spec: {ports: [{port: 80}], externalIPs: [192.0.2.1]}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: kube-system}
spec: {ports: [{port: 80}]}
`

// What explain says of a policy and an object is what a check of everything says of them; and some definition
// held exactly if the policy said something.
func TestExplainJudgesAsCheck(t *testing.T) {
	for _, name := range []string{"baseline", "restricted"} {
		set, err := profile.Load(profile.Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		options := func() check.Options {
			return check.Options{Policies: set, Paths: []string{"-"}, Stdin: strings.NewReader(several)}
		}
		all, err := check.Run(context.Background(), options())
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		for _, policy := range set.Policies {
			for _, object := range []string{"Namespace/shop", "Ingress/gce", "Ingress/traefik", "NetworkPolicy/shop/wide", "Service/ips", "Service/kube-system/plain"} {
				e, err := check.Explain(context.Background(), options(), policy.Name, object)
				if err != nil {
					t.Fatal(err)
				}
				results, patched := about(all, policy.Name, object)
				if !reflect.DeepEqual(e.Report.Results, results) || !reflect.DeepEqual(e.Report.Patched, patched) {
					t.Errorf("%s %s %s: explained %+v %+v, checked %+v %+v", name, policy.Name, object, e.Report.Results, e.Report.Patched, results, patched)
				}
				said += len(results) + len(patched)
				held := 0
				for _, verb := range e.Verbs {
					if verb.Err != nil {
						t.Errorf("%s %s %s: %v", name, policy.Name, object, verb.Err)
					}
					for _, d := range verb.Definitions {
						if verb.Verb != engine.Generate {
							held += d.Held()
						}
					}
				}
				if (held > 0) != (len(results)+len(patched) > 0) {
					t.Errorf("%s %s %s: %d definitions held, %d results, %d patches", name, policy.Name, object, held, len(results), len(patched))
				}
			}
		}
		if said != len(all.Results)+len(all.Patched) || said < 5 {
			t.Errorf("%s: %d results were explained, of %d", name, said, len(all.Results)+len(all.Patched))
		}
	}
}

// about are the results for one policy and one object.
func about(r report.Report, policy, object string) (results []report.Result, patched []report.Patched) {
	kind, name := object[:strings.Index(object, "/")], object[strings.LastIndex(object, "/")+1:]
	for _, x := range r.Results {
		if x.Policy == policy && x.Kind == kind && x.Name == name {
			results = append(results, x)
		}
	}
	for _, x := range r.Patched {
		if x.Policy == policy && x.Kind == kind && x.Name == name {
			patched = append(patched, x)
		}
	}
	return results, patched
}

// A file of many objects is answered with a list that a person can read.
func TestExplainSuggestsFewObjects(t *testing.T) {
	set, err := profile.Load(profile.Options{Name: "baseline"})
	if err != nil {
		t.Fatal(err)
	}
	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {ports: [{port: 80}]}\n", i)
	}
	_, err = check.Explain(context.Background(), check.Options{Policies: set, Paths: []string{"-"}, Stdin: strings.NewReader(many.String())}, "service-external-ips", "")
	if err == nil || !strings.HasPrefix(err.Error(), "30 objects") || strings.Count(err.Error(), "\n") != 11 || !strings.HasSuffix(err.Error(), "and 20 more") {
		t.Errorf("%v", err)
	}
}
