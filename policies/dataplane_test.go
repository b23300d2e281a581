package policies_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const namedPort = `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"web","namespace":"shop"},
	"spec":{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{"ports":[{"protocol":"TCP","port":"http"}]}]}}`

// toldGate has a policy of the dataplane's rule with parameters, and whatever --dataplane says.
func toldGate(t *testing.T, parameters, flag string, exist ...string) *policies.Gate {
	t.Helper()
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := policies.DataplaneDefaults(library, flag)
	if err != nil {
		t.Fatal(err)
	}
	files := state.NewFiles()
	for _, object := range exist {
		files.Put(document(t, object))
	}
	gate, err := policies.NewGate(policies.Options{Library: library, Defaults: defaults, State: files, Namespaces: files,
		Policies: []v1alpha1.GatePolicy{gatePolicy("dataplane", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego = policies.DataplaneRule, ""
			if parameters != "" {
				s.Parameters = &runtime.RawExtension{Raw: []byte(parameters)}
			}
		})}})
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

func TestDataplane(t *testing.T) {
	const ovnNode = `{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"ovnkube-node","namespace":"ovn-kubernetes"}}`
	asked := []schema.GroupKind{{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, {Group: "apps", Kind: "DaemonSet"}}
	for name, c := range map[string]struct {
		parameters, flag string
		exist            []string
		says             string // of the first finding; empty for none
		asks             []schema.GroupKind
	}{
		"nobody tells":                 {},
		"the policy says it":           {parameters: `{"dataplane":"ovn-kubernetes"}`, says: "opens every TCP port"},
		"the flag says it":             {flag: "ovn-kubernetes", says: "opens every TCP port"},
		"the flag adds to other words": {parameters: `{"version":"1.0"}`, flag: "ovn-kubernetes", says: "opens every TCP port"},
		"the policy says null":         {parameters: `null`, flag: "ovn-kubernetes", says: "opens every TCP port"},
		"the policy knows better":      {parameters: `{"dataplane":"calico"}`, flag: "ovn-kubernetes"},
		"the policy wants silence":     {parameters: `{"dataplane":""}`, flag: "ovn-kubernetes"},
		"found":                        {parameters: `{"dataplane":"auto"}`, exist: []string{ovnNode}, says: "opens every TCP port", asks: asked},
		"found by the flag":            {flag: "auto", exist: []string{ovnNode}, says: "opens every TCP port", asks: asked},
		"not found":                    {flag: "auto", says: "no known dataplane", asks: asked},
	} {
		gate := toldGate(t, c.parameters, c.flag, c.exist...)
		decision := gate.Review(context.Background(), create(t, namedPort))
		said := ""
		if len(decision.Findings) > 0 {
			said = decision.Findings[0].Message
		}
		if (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: said %q, want %q", name, said, c.says)
		}
		if got := gate.StateKinds(); !reflect.DeepEqual(got, c.asks) {
			t.Errorf("%s: asks about %v, want %v", name, got, c.asks)
		}
		if got := gate.Interests()[0].State; len(got) != len(c.asks) {
			t.Errorf("%s: is interested in %v, want %v", name, got, c.asks)
		}
	}
}

func TestDataplaneThatThereIsNot(t *testing.T) {
	library, err := profile.ShippedRules()
	if err != nil {
		t.Fatal(err)
	}
	const names = "auto, aci, antrea, aws-vpc-cni, azure-npm, calico, cilium, flannel, kube-network-policies, kube-router, ovn-kubernetes"
	if _, err := policies.DataplaneDefaults(library, "celium"); err == nil || err.Error() != `there is no dataplane "celium"; want one of `+names {
		t.Errorf("got %v", err)
	}
}
