package facts

import (
	"fmt"
	"testing"
)

// thousand are a default deny and policies of 999 apps, which reach each other
// and a block of addresses each.
func thousand(t testing.TB) []*Policy {
	texts := []string{isolated}
	for i := range 999 {
		texts = append(texts, fmt.Sprintf("app-%d: {podSelector: {matchLabels: {app: app-%d}}, policyTypes: [Ingress, Egress], "+
			"ingress: [{from: [{podSelector: {matchLabels: {app: app-%d}}}], ports: [{port: %d}]}], "+
			"egress: [{to: [{ipBlock: {cidr: 10.%d.%d.0/24}}, {podSelector: {matchLabels: {app: app-%d}}}], ports: [{port: 443}, {port: 8443}]}]}",
			i, i, (i+1)%999, 8000+i%10, i/250, i%250, (i+7)%999))
	}
	return inShop(t, texts...)
}

// BenchmarkOpened is a review in a namespace of 1,000 policies, which the state
// has read already.
func BenchmarkOpened(b *testing.B) {
	others := thousand(b)
	one := func(text string) *Policy { return inShop(b, text)[0] }
	app := others[500]
	changed := NewPolicy(app.NetworkPolicy.DeepCopy())
	changed.Spec.Egress[0].To[0].IPBlock.CIDR = "10.0.0.0/8"
	for _, c := range []struct {
		name     string
		old, new *Policy
		others   []*Policy
	}{
		{"create", nil, one(out("new", "{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 443}]}")), others},
		{"create for every pod", nil, one("new: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"), others},
		{"create for every pod, none of the others for all", nil, one("new: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"), others[1:]},
		{"create, nothing was isolated", nil, one(out("new", "{}")), others[1:]},
		{"create of what is open", nil, one(out("new", "{to: [{ipBlock: {cidr: 10.0.3.0/25}}], ports: [{port: 443}]}")), append(inShop(b, "all: {podSelector: {}, egress: [{}]}"), others...)},
		{"update", app, changed, others},
		{"update of nothing", app, NewPolicy(app.NetworkPolicy.DeepCopy()), others},
		{"delete", app, nil, others},
		{"delete of the one for all", others[0], nil, others},
		{"hard", nil, one("new: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"), append(hard(), others...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			others := NewPolicies(c.others)
			for b.Loop() {
				if _, err := OpenedBy(c.old, c.new, others, OpenOptions{Max: 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
