package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// An exception may expire while something else is done than to look at everything: that is told afterwards all the same.
func TestTheNextExpiryCountsFromTheLastLook(t *testing.T) {
	set, err := profile.Load(profile.Options{Name: "baseline"})
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Truncate(time.Second)
	exception := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "over"}, Spec: v1alpha1.GateExceptionSpec{Policies: []string{"ingress-tls-required"},
		Match: v1alpha1.ExceptionMatch{Namespaces: []string{"shop"}}, Reason: "moving", Expires: metav1.NewTime(expires)}}
	gate, rejected := policies.Assemble(policies.Options{Library: set.Library, Policies: set.Policies, Exceptions: []v1alpha1.GateException{exception}})
	if len(rejected) > 0 {
		t.Fatal(rejected)
	}
	g := &Generator{Snapshots: &Snapshots{}, Now: time.Now}
	g.Snapshots.store(&Snapshot{Gate: gate})
	for what, looked := range map[string]time.Time{"before": expires.Add(-time.Minute), "after": expires} {
		expiry, stop := g.nextExpiry(looked)
		if (expiry != nil) != (what == "before") {
			t.Errorf("looked %s it expired: told of another is %v", what, expiry != nil)
		}
		if expiry != nil {
			<-expiry
		}
		stop()
	}
}
