package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sluice-gate/sluice/policies/engine"
)

// livePolicy is a policy whose annotation tells where it comes from.
func livePolicy(namespace, name, from string) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u-1", ResourceVersion: "999",
		Annotations: map[string]string{lastApplied: "{}", "example.com/kept": from}}}
}

// What the state has in the same version is taken from there, anything else as the API server has it.
func TestLivePolicies(t *testing.T) {
	reader := fake.NewClientBuilder().WithScheme(scheme.Scheme).
		WithObjects(livePolicy("shop", "c", "live"), livePolicy("shop", "a", "live"), livePolicy("shop", "b", "live"), livePolicy("crm", "d", "live"),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}).Build()
	c := NewCluster(nil, reader, nil, time.Now)
	for name, version := range map[string]string{"a": "999", "b": "998", "gone": "999"} {
		np := livePolicy("shop", name, "known")
		np.APIVersion, np.Kind, np.ResourceVersion = "networking.k8s.io/v1", "NetworkPolicy", version
		document, err := engine.FromGo(np)
		if err != nil {
			t.Fatal(err)
		}
		c.Put(document)
	}
	live, err := c.LivePolicies(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	left := NewRemaining(live, func(p *LivePolicy) bool { return p.Name == "c" })
	var got []string
	objects, err := left.Policies.Objects()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		got = append(got, fmt.Sprint(object.Get("kind").Text(), " ", object.Get("metadata", "name").Text(), " ", object.Get("metadata", "annotations")))
	}
	want := []string{`NetworkPolicy a {"example.com/kept":"known"}`, `NetworkPolicy b {"example.com/kept":"live"}`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(left.Policies.Policies().All()) != 2 || strings.Join(left.Pending, ",") != "c" {
		t.Errorf("got %q, pending %q, want %q", got, left.Pending, want)
	}
	if home, err := c.Live().Namespace(t.Context(), "shop"); err != nil || home.Get("metadata", "name").Text() != "shop" {
		t.Errorf("namespace: %v, %v", home, err)
	}
	if _, err := c.Live().Namespace(t.Context(), "gone"); err == nil {
		t.Error("a namespace that doesn't exist")
	}
}

func TestLivePoliciesThatCanNotBeRead(t *testing.T) {
	failing := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme.Scheme).Build(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("no answer")
		}})
	if _, err := NewCluster(nil, failing, nil, time.Now).LivePolicies(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "read the NetworkPolicies of namespace shop: no answer") {
		t.Errorf("%v", err)
	}
}

// BenchmarkLivePolicies is a namespace of 1,000 policies that the state has, but for the API server's time.
func BenchmarkLivePolicies(b *testing.B) {
	list := &networkingv1.NetworkPolicyList{}
	server := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme.Scheme).Build(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, into client.ObjectList, _ ...client.ListOption) error {
			list.DeepCopyInto(into.(*networkingv1.NetworkPolicyList))
			return nil
		}})
	c := NewCluster(nil, server, nil, time.Now)
	for i := range 1000 {
		np := livePolicy("shop", fmt.Sprint(i), "live")
		np.APIVersion, np.Kind = "networking.k8s.io/v1", "NetworkPolicy"
		list.Items = append(list.Items, *np)
		document, err := engine.FromGo(np)
		if err != nil {
			b.Fatal(err)
		}
		c.Put(document)
	}
	for b.Loop() {
		live, err := c.LivePolicies(b.Context(), "shop")
		if err != nil {
			b.Fatal(err)
		}
		NewRemaining(live, func(*LivePolicy) bool { return false })
	}
}
