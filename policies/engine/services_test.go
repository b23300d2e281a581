package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/rego"
)

// More than a Service has in earnest is an error, which never allows.
func TestTooManyAddresses(t *testing.T) {
	service := func(name, body string) string {
		return strings.Replace(module(name, body), "networking.k8s.io/Ingress", "Service", 1)
	}
	library := load(t, map[string]string{
		"sources":  service("sources", `deny contains "x" if count(sluice.service.sources(input.request.object, {}).wide) > 5`),
		"prefixes": service("prefixes", `deny contains "x" if sluice.service.claims({}, input.request.object.spec.loadBalancerSourceRanges).requests > 5`),
		"outside":  service("outside", `deny contains "x" if sluice.service.claims(input.request.object, []).requests > 5`),
	})
	program := compile(t, library, "sources", "prefixes", "outside")
	many := strings.Repeat(`,"192.0.2.0/24"`, 5001)[1:]
	ips := strings.Repeat(`,"192.0.2.1"`, 5001)[1:]
	object := fmt.Sprintf(`{"spec": {"loadBalancerSourceRanges": [%s], "externalIPs": [%s]}}`, many, ips)
	want := []string{"spec.loadBalancerSourceRanges: 5001 are too many", "prefixes: 5001 are too many", "addresses: 5001 are too many"}
	for i, o := range program.Evaluate(context.Background(), input(t, object), []int{0, 1, 2}, engine.Deny) {
		if o.Err == nil || !strings.Contains(o.Err.Error(), want[i]) {
			t.Errorf("got %+v, want an error with %q", o, want[i])
		}
	}
}

// A change of any annotation that asks for an address is judged.
func TestPrefixesJudgeEveryAddressAnnotation(t *testing.T) {
	library, err := engine.Load(rego.Rules)
	if err != nil {
		t.Fatal(err)
	}
	rule, ok := library.Rule("service-load-balancer-prefixes")
	if !ok {
		t.Fatal("the rule is gone")
	}
	want := []string{"spec", "status.loadBalancer"}
	for _, name := range facts.AddressAnnotations() {
		want = append(want, "metadata.annotations["+name+"]")
	}
	got := rule.JudgedPaths()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
