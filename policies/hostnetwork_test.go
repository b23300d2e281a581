package policies_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// onlyHostNetwork finds something in every object that it is run for.
const onlyHostNetwork = `# METADATA
# title: T
# description: D
# custom:
#   severity: high
#   kinds: [Pod, apps/Deployment, batch/CronJob]
#   operations: [CREATE, UPDATE, DELETE]
#   only: host-network
#   judges: [metadata.labels]
package sluice.test.only

deny contains "asked" if input.request
`

func gateForHostNetwork(t *testing.T) *policies.Gate {
	t.Helper()
	library, err := engine.Load(fstest.MapFS{"only.rego": &fstest.MapFile{Data: []byte(onlyHostNetwork)}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := policies.NewGate(policies.Options{Library: library, Policies: []v1alpha1.GatePolicy{gatePolicy("only", nil)}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func workload(kind, spec string) string {
	return `{"apiVersion": "` + map[string]string{"Pod": "v1", "Deployment": "apps/v1", "CronJob": "batch/v1"}[kind] + `", "kind": "` + kind +
		`", "metadata": {"name": "web", "namespace": "shop"}, "spec": ` + spec + `}`
}

func template(spec string) string { return `{"template": {"spec": ` + spec + `}}` }

func jobTemplate(spec string) string { return `{"jobTemplate": {"spec": ` + template(spec) + `}}` }

func ports(ports string) string {
	return `{"containers": [{}, {"ports": [{"containerPort": 1}, ` + ports + `]}]}`
}

func remove(t testing.TB, object string) policies.Request {
	t.Helper()
	r, err := policies.Compose(engine.Delete, document(t, object), engine.Document{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A rule for the host's network is asked about nothing else, for which nothing else is sent.
func TestOnlyHostNetwork(t *testing.T) {
	g := gateForHostNetwork(t)
	for name, c := range map[string]struct {
		kind, spec string
		want       bool
	}{
		"a pod":                          {"Pod", `{"hostNetwork": true}`, true},
		"a Deployment":                   {"Deployment", template(`{"hostNetwork": true}`), true},
		"a CronJob":                      {"CronJob", jobTemplate(`{"hostNetwork": true}`), true},
		"a port":                         {"Pod", ports(`{"hostPort": 80}`), true},
		"a port of a Deployment":         {"Deployment", template(ports(`{"hostPort": 80}`)), true},
		"a port of a CronJob":            {"CronJob", jobTemplate(ports(`{"hostPort": 80}`)), true},
		"a port of an init container":    {"Pod", `{"containers": [{}], "initContainers": [{"ports": [{"hostPort": 80}]}]}`, true},
		"what nobody can read":           {"Pod", `{"hostNetwork": "no"}`, true},
		"a port that nobody can read":    {"Pod", ports(`{"hostPort": "80"}`), true},
		"neither":                        {"Pod", ports(`{"hostPort": 0}, {"hostPort": null}`), false},
		"not":                            {"Pod", `{"hostNetwork": false}`, false},
		"null":                           {"Pod", `{"hostNetwork": null, "containers": null, "initContainers": [{"ports": null}]}`, false},
		"a field that no Deployment has": {"Deployment", `{"hostNetwork": true, "template": {"spec": {}}}`, false},
		"nothing":                        {"CronJob", jobTemplate(`{}`), false},
	} {
		if got := len(g.Review(context.Background(), create(t, workload(c.kind, c.spec))).Findings) > 0; got != c.want {
			t.Errorf("%s: asked %t, want %t", name, got, c.want)
		}
	}
	explained, err := g.Explain(context.Background(), create(t, workload("Pod", "{}")), "only", engine.Deny)
	if err != nil || len(explained.Unmatched) != 1 || explained.Unmatched[0] != "only: wants host-network, found neither hostNetwork nor a hostPort" {
		t.Errorf("%q, %v", explained.Unmatched, err)
	}
}

// What an update brings under the rule is a change, whatever else the rule judges; what is deleted counts as it is.
func TestOnlyHostNetworkOfUpdatesAndDeletions(t *testing.T) {
	g := gateForHostNetwork(t)
	plain, onHost := workload("Pod", "{}"), workload("Pod", `{"hostNetwork": true}`)
	for name, c := range map[string]struct {
		request policies.Request
		want    string
	}{
		"gets it":   {update(t, onHost, plain), "deny"},
		"keeps it":  {update(t, onHost, onHost), "warn"},
		"gives up":  {update(t, plain, onHost), ""},
		"goes":      {remove(t, onHost), "deny"},
		"goes, off": {remove(t, plain), ""},
	} {
		got := ""
		for _, f := range g.Review(context.Background(), c.request).Findings {
			got += string(f.Effect)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
