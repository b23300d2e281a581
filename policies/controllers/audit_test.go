package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// forbidding is an API server on which nothing may be listed.
type forbidding struct{ client.Reader }

func (forbidding) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errUnreachable
}

// A count that nothing stands behind any more is taken away; one that can't be made anew stays, and an event says so once.
func TestAuditKeepsNoCountThatNobodyMade(t *testing.T) {
	counted := func(rule string) *v1alpha1.GatePolicy {
		p := version("a", 1, rule)
		p.Status.Audit = &v1alpha1.AuditStatus{Findings: 7, Time: metav1.Now()}
		return p
	}
	for name, test := range map[string]struct {
		rule  string
		keeps bool
		event string
	}{
		"a rule that only patches": {"networkpolicy-isolate-egress", false, ""},
		"a kind that nobody lists": {shippedRule, true, "Warning AuditIncomplete the findings in what exists are not counted: list networking.k8s.io/Ingress: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			c, cluster := replica(t, counted(test.rule))
			c.result(t)
			recorder := events.NewFakeRecorder(10)
			a := &Auditor{Client: cluster, Live: forbidding{}, Mapper: served(), Snapshots: c.Snapshots, Interval: time.Minute, Events: recorder, Now: time.Now}
			for range 2 {
				if _, err := a.Reconcile(context.Background(), ctrl.Request{}); err != nil {
					t.Fatal(err)
				}
			}
			var after v1alpha1.GatePolicy
			if err := cluster.Get(context.Background(), client.ObjectKey{Name: "p"}, &after); err != nil {
				t.Fatal(err)
			}
			if (after.Status.Audit != nil) != test.keeps {
				t.Errorf("audit %+v", after.Status.Audit)
			}
			close(recorder.Events)
			var told []string
			for event := range recorder.Events {
				told = append(told, event)
			}
			if got := strings.Join(told, "\n"); got != test.event {
				t.Errorf("events %q, want %q", got, test.event)
			}
		})
	}
}
