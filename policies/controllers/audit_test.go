package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// forbidding is an API server on which nothing can be listed.
type forbidding struct {
	client.Reader
	err error
}

func (f forbidding) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return f.err
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
		err   error
		keeps bool
		event string
	}{
		"a rule that only patches": {"networkpolicy-isolate-egress", errUnreachable, false, ""},
		"a kind that nobody lists": {shippedRule, errUnreachable, true, "Warning AuditIncomplete the findings in what exists are not counted: list networking.k8s.io/Ingress: connection refused"},
		"a kind that Sluice may not list": {shippedRule, apierrors.NewForbidden(schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, "", nil), true,
			"Warning AuditIncomplete the findings in what exists are not counted: list networking.k8s.io/Ingress: ingresses.networking.k8s.io is forbidden: <nil>: " +
				`give this right by a ClusterRole with the label rbac.policy.sluice.dev/aggregate-to-sluice: "true"`},
	} {
		t.Run(name, func(t *testing.T) {
			c, cluster := replica(t, counted(test.rule))
			c.result(t)
			recorder := events.NewFakeRecorder(10)
			a := &Auditor{Client: cluster, Live: forbidding{err: test.err}, Mapper: served(), Snapshots: c.Snapshots, Interval: time.Minute, Events: recorder, Now: time.Now}
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

// What an exception excused is found again as soon as the exception has expired.
func TestAuditComesBackWhenAnExceptionExpires(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	expiring := func(name string, left time.Duration) *v1alpha1.GateException {
		return &v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GateExceptionSpec{Policies: []string{"p"},
			Match: v1alpha1.ExceptionMatch{Names: []string{"x"}}, Reason: "r", Expires: metav1.NewTime(now.Add(left))}}
	}
	for name, test := range map[string]struct {
		exceptions []client.Object
		interval   time.Duration
		takes      time.Duration // from one look at the clock to the next
		want       time.Duration
	}{
		"none":                {nil, time.Minute, 0, time.Minute},
		"before the interval": {[]client.Object{expiring("a", 50*time.Second), expiring("b", 20*time.Second)}, time.Minute, 0, 20 * time.Second},
		"after the interval":  {[]client.Object{expiring("a", 2*time.Minute)}, time.Minute, 0, time.Minute},
		"expired":             {[]client.Object{expiring("a", 0), expiring("b", -time.Second)}, time.Minute, 0, time.Minute},
		"no interval":         {[]client.Object{expiring("a", time.Hour)}, 0, 0, time.Hour},
		"during the audit":    {[]client.Object{expiring("a", 3*time.Second)}, time.Minute, 4 * time.Second, time.Millisecond},
		"nothing to wait for": {nil, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, cluster := replica(t, append(test.exceptions, version("a", 1, "networkpolicy-isolate-egress"))...)
			c.Options.Now = func() time.Time { return now }
			c.result(t)
			clock := now
			a := &Auditor{Client: cluster, Live: forbidding{err: errUnreachable}, Mapper: served(), Snapshots: c.Snapshots, Interval: test.interval,
				Events: events.NewFakeRecorder(10), Now: func() time.Time { defer func() { clock = clock.Add(test.takes) }(); return clock }}
			got, err := a.Reconcile(context.Background(), ctrl.Request{})
			if err != nil || got.RequeueAfter != test.want {
				t.Errorf("comes back after %s, %v; want %s", got.RequeueAfter, err, test.want)
			}
		})
	}
}
