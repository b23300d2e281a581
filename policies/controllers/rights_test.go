package controllers

import (
	"context"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sluice-gate/sluice/policies"
)

// What failed for want of a right is tried less and less often: whoever gives the right must not wait for that.
func TestGainedRightsAreTold(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := authorizationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	may := map[string]bool{"list": true}
	c := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			review := o.(*authorizationv1.SelfSubjectAccessReview)
			review.Status.Allowed = may[review.Spec.ResourceAttributes.Verb]
			return nil
		}}).Build()
	rights := NewRights(c, NewKinds(nil, &apiServer{versions: []string{"v1"}}))
	now, told := time.Now(), 0
	rights.now, rights.Gained = func() time.Time { return now }, func() { told++ }
	interest := policies.Interest{State: []schema.GroupKind{{Group: "example.dev", Kind: "Widget"}}}
	for _, step := range []struct {
		name   string
		change func()
		want   string
		told   int
	}{
		{"nobody has asked yet", func() {}, "watch widgets.example.dev", 0},
		{"given, and the answer is kept", func() { may["watch"] = true }, "watch widgets.example.dev", 0},
		{"given", func() { now = now.Add(rightsKept) }, "", 1},
		{"still given", func() { now = now.Add(rightsKept) }, "", 1},
		{"taken", func() { now = now.Add(rightsKept); may["list"] = false }, "list widgets.example.dev", 1},
		{"given again", func() { now = now.Add(rightsKept); may["list"] = true }, "", 2},
	} {
		step.change()
		missing, err := rights.Missing(t.Context(), interest)
		if err != nil || missing != step.want || told != step.told {
			t.Errorf("%s: missing %q (%v), told %d times, want %q and %d", step.name, missing, err, told, step.want, step.told)
		}
	}
}
