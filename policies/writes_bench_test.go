package policies_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
)

// emptyCluster is a state that watches an API server without objects, so that it says what is put into it.
func emptyCluster(b *testing.B) *state.Cluster {
	network := schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}
	server := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		network.WithResource("networkpolicies"): "NetworkPolicyList", {Version: "v1", Resource: "namespaces"}: "NamespaceList"})
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{network, {Version: "v1"}})
	mapper.Add(network.WithKind("NetworkPolicy"), meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	c := state.NewCluster(server, nil, mapper, time.Now)
	c.Watch(b.Context(), network.WithKind("NetworkPolicy").GroupKind())
	for !c.Synced() {
		time.Sleep(time.Millisecond)
	}
	return c
}

// oneReplica claims without others to ask.
type oneReplica struct{ *state.Cluster }

func (o oneReplica) Claim(_ context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool, judge func(state.Remaining) bool) error {
	known, err := o.KnownPolicies(of.Namespace)
	if err != nil {
		return err
	}
	if all := known.SelectingAll(of.Name); all == nil || !suffice(all) {
		judge(state.NewRemaining(known, func(*state.LivePolicy) bool { return false }))
	}
	return err
}

func (o oneReplica) Remaining(ctx context.Context, of state.PolicyChange) (left state.Remaining, err error) {
	err = o.Claim(ctx, of, func(*engine.PolicyList) bool { return false }, func(now state.Remaining) bool { left = now; return true })
	return left, err
}

// BenchmarkWrites reviews what is done to NetworkPolicies by restricted, where each of 50 namespaces has a default deny and 40
// policies for pods of their own. Between two reviews of a namespace one of its policies changes, as by an earlier write.
func BenchmarkWrites(b *testing.B) {
	const teams, apps = 50, 40
	known := emptyCluster(b)
	policy := func(team, app int, client string) string {
		return fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"namespace":"team-%d","name":"app-%[2]d","uid":"u-%[2]d","resourceVersion":"7"},`+
			`"spec":{"podSelector":{"matchLabels":{"app":"app-%[2]d"}},"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":%[3]q}}}],"ports":[{"protocol":"TCP","port":8080}]}]}}`,
			team, app, client)
	}
	for team := range teams {
		known.Put(document(b, fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team-%d"}}`, team)))
		known.Put(document(b, fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"namespace":"team-%d","name":"default-deny"},`+
			`"spec":{"podSelector":{},"policyTypes":["Ingress","Egress"]}}`, team)))
		for app := range apps {
			known.Put(document(b, policy(team, app, "web")))
		}
	}
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		b.Fatal(err)
	}
	g, err := set.Gate(policies.Options{State: known, Namespaces: known, Isolation: oneReplica{known}})
	if err != nil {
		b.Fatal(err)
	}
	for _, write := range []struct {
		name    string
		request func(team int) policies.Request
	}{
		{"create", func(team int) policies.Request { return create(b, policy(team, apps, "web")) }},
		{"update", func(team int) policies.Request { return update(b, policy(team, 1, "other"), policy(team, 1, "web")) }},
		{"delete", func(team int) policies.Request { return deletion(b, policy(team, 1, "web")) }},
	} {
		b.Run(write.name, func(b *testing.B) {
			var requests []policies.Request
			for team := range teams {
				requests = append(requests, write.request(team))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if d := g.Review(context.Background(), requests[i%teams]); !d.Allowed() {
					b.Fatal(findingsOf(d))
				}
				known.Put(document(b, policy(i%teams, 0, "web")))
			}
		})
	}
}
