package policies_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-gate/sluice/policies"
)

// While requests are judged by a gate, others are made that share its units, and a policy is vetted.
func TestReviewsWhilePoliciesChange(t *testing.T) {
	library := shipped(t)
	specs := thousand(t, library)[:60]
	gate, _ := policies.Assemble(policies.Options{Library: library, Policies: specs})
	var group sync.WaitGroup
	for worker := range 3 {
		group.Go(func() {
			for i := range 60 {
				r := create(t, fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"team-%d-web"},"spec":{"rules":[{"host":"a.other.org"}]}}`, (i+20*worker)%60))
				gate.Review(context.Background(), r)
				gate.Mutate(context.Background(), r)
			}
		})
	}
	for worker := range 2 {
		group.Go(func() {
			for i := range 4 {
				edited := slices.Clone(specs)
				edited[10*worker].Spec.Rego = inlineModule(2000 + 100*worker + i)
				policies.Assemble(policies.Options{Library: library, Policies: edited, Previous: gate})
			}
		})
	}
	group.Wait()
}
