package policies_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// Reviews share what they repeat, also where one iterates over it while another makes an input of its own. The race detector sees
// what goes wrong.
func TestReviewsShareWhatTheyRepeat(t *testing.T) {
	var extra []string
	for i := range 60 {
		extra = append(extra, fmt.Sprintf(`"%d":["1"]`, 99-i))
	}
	text := []byte(`{"request":{"uid":"1","operation":"CREATE","namespace":"shop","name":"web","kind":{"group":"","version":"v1","kind":"Service"},
		"userInfo":{"username":"ada","extra":{` + strings.Join(extra, ",") + `}},"object":` + nodePort + `}}`)
	copies := newGate(t, map[string]string{"copies": `keys := count({key | some key, _ in input.request.userInfo.extra})

deny contains sprintf("%d", [n]) if n := keys with input.request.dryRun as true`}, policies.Options{}, gatePolicy("copies", nil))
	walks := newGate(t, map[string]string{"walks": `deny contains sprintf("%d", [count({key | some key, _ in input.request.userInfo.extra})])`}, policies.Options{}, gatePolicy("walks", nil))
	for range 50 {
		reader := engine.NewReviewReader()
		if _, err := reader.Read(text); err != nil { // what the first reads is nobody else's
			t.Fatal(err)
		}
		var reviews sync.WaitGroup
		for i := range 4 {
			reviews.Go(func() {
				review, err := reader.Read(text)
				if err != nil {
					t.Error(err)
					return
				}
				request, err := policies.NewRequest(review.Get("request"))
				if err != nil {
					t.Error(err)
					return
				}
				g := []*policies.Gate{copies, walks}[i%2]
				if d := g.Review(t.Context(), request); len(d.Findings) != 1 || d.Findings[0].Message != "60" {
					t.Errorf("%+v", d)
				}
			})
		}
		reviews.Wait()
	}
}
