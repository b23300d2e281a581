package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/sluice-gate/sluice/policies/facts"
)

// lastApplied is the annotation in which kubectl keeps a second copy of the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func unstructuredIngress(namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"rules": []any{map[string]any{"host": name + ".example.com"}}}}}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"})
	object.SetNamespace(namespace)
	object.SetName(name)
	object.SetUID("0f9e8d7c-0000-4000-8000-000000000000")
	object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: strings.Repeat("m", 1000)}})
	object.SetAnnotations(map[string]string{lastApplied: strings.Repeat("x", 1000), "example.com/kept": "yes"})
	return object
}

var (
	ingresses    = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	classes      = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	gadgets      = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gadgets"}
	classKind    = schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}
	gadgetKind   = schema.GroupKind{Group: "example.com", Kind: "Gadget"}
	servedByFake = map[schema.GroupVersionResource]string{ingresses: "IngressList", classes: "IngressClassList", namespaces: "NamespaceList", gadgets: "GadgetList",
		{Group: "example.com", Version: "v2", Resource: "gadgets"}: "GadgetList"}
)

func testCluster(t *testing.T, objects ...runtime.Object) (*Cluster, *fake.FakeDynamicClient, *lateMapper) {
	t.Helper()
	server := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), servedByFake, objects...)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "networking.k8s.io", Version: "v1"}, {Group: "example.com", Version: "v1"}, {Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, meta.RESTScopeRoot)
	mapper.Add(schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "IngressClass"}, meta.RESTScopeRoot)
	late := &lateMapper{RESTMapper: mapper}
	return NewCluster(server, nil, late, time.Now), server, late
}

// lateMapper learns of a kind while it is in use, as when a CRD is added.
type lateMapper struct {
	meta.RESTMapper
	gadgets atomic.Pointer[string] // the version
}

func (m *lateMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if version := m.gadgets.Load(); kind == gadgetKind && version != nil {
		gv := schema.GroupVersion{Group: "example.com", Version: *version}
		return &meta.RESTMapping{Resource: gv.WithResource("gadgets"), GroupVersionKind: gv.WithKind("Gadget"), Scope: meta.RESTScopeNamespace}, nil
	}
	return m.RESTMapper.RESTMapping(kind, versions...)
}

func hostClaims(namespace, host string) facts.HostClaims {
	return facts.HostClaims{Namespace: namespace, Name: "new", Hosts: []facts.Host{{Host: host, Via: facts.ViaRule}}}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("timed out: %s", what)
}

func TestClusterFollowsTheAPIServer(t *testing.T) {
	c, server, _ := testCluster(t, unstructuredIngress("shop", "web"))
	if _, _, err := c.Get(ingressKind, "shop", "web"); err == nil || !strings.Contains(err.Error(), "not watched") {
		t.Errorf("a kind that nobody watches: %v", err)
	}
	c.Watch(t.Context(), ingressKind)
	eventually(t, "the first list", c.Synced)
	object, found, err := c.Get(ingressKind, "shop", "web")
	if err != nil || !found {
		t.Fatalf("shop/web: %v, %v", found, err)
	}
	if object.Get("metadata", "managedFields").Exists() || object.Get("metadata", "annotations").Len() != 1 {
		t.Errorf("kept: %v", object.Get("metadata"))
	}
	added := unstructuredIngress("shop", "api")
	if _, err := server.Resource(ingresses).Namespace("shop").Create(t.Context(), added, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	asked := ingress(t, "lab", "new", "", "api.example.com")
	eventually(t, "an object more", func() bool { return conflicts(t, c.Index, asked) == "api.example.com: shop/api api.example.com" })
	if err := server.Resource(ingresses).Namespace("shop").Delete(t.Context(), "api", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an object less", func() bool { return conflicts(t, c.Index, asked) == "" })
	if got := names(t, c.Index, ingressKind, "shop"); got != "web" {
		t.Errorf("%q", got)
	}
}

func TestClusterDropsKindsThatNobodyNeeds(t *testing.T) {
	c, server, _ := testCluster(t, unstructuredIngress("shop", "web"))
	c.Watch(t.Context(), ingressKind, classKind)
	eventually(t, "the first list", c.Synced)
	c.Watch(t.Context(), classKind)
	if _, err := c.List(ingressKind, "shop"); err == nil || !strings.Contains(err.Error(), "not watched") {
		t.Errorf("no longer watched: %v", err)
	}
	if got := names(t, c.Index, ingressKind, "shop") + conflicts(t, c.Index, ingress(t, "lab", "new", "", "web.example.com")); got != "" {
		t.Errorf("still held: %s", got)
	}
	if _, err := server.Resource(ingresses).Namespace("shop").Create(t.Context(), unstructuredIngress("shop", "late"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Watch(t.Context(), ingressKind, classKind)
	eventually(t, "watched again", c.Synced)
	if got := names(t, c.Index, ingressKind, "shop"); got != "late web" {
		t.Errorf("%q", got)
	}
}

func TestKindsThatCanNotBeWatchedKeepTheOthersFromNothing(t *testing.T) {
	c, server, mapper := testCluster(t)
	forbidden := apierrors.NewForbidden(ingresses.GroupResource(), "", errors.New("no"))
	allowed := make(chan struct{})
	server.PrependReactor("list", "ingresses", refuse(forbidden, allowed))
	server.PrependWatchReactor("ingresses", func(clienttesting.Action) (bool, watch.Interface, error) {
		select {
		case <-allowed:
			return false, nil, nil
		default:
			return true, nil, forbidden
		}
	})
	c.Watch(t.Context(), ingressKind, classKind, gadgetKind)
	eventually(t, "the other kinds", func() bool { return c.check(classKind) == nil && c.check(namespaceKind) == nil })
	if c.Synced() {
		t.Error("synced, though two kinds are not known")
	}
	eventually(t, "the reason", func() bool { return c.Problem(ingressKind) != nil && c.Problem(gadgetKind) != nil })
	var problem *WatchError
	if err := c.Problem(ingressKind); !errors.As(err, &problem) || !problem.Forbidden() || problem.Resource.String() != "ingresses.networking.k8s.io" {
		t.Errorf("forbidden: %v", err)
	}
	if _, err := c.List(ingressKind, "shop"); !errors.Is(err, ErrNotSynced) || !strings.Contains(err.Error(), "Sluice may not list ingresses.networking.k8s.io") {
		t.Errorf("asked about a forbidden kind: %v", err)
	}
	if err := c.Problem(gadgetKind); !strings.Contains(err.Error(), "does not serve example.com/Gadget") {
		t.Errorf("not served: %v", err)
	}
	if c.Problem(classKind) != nil {
		t.Errorf("a problem where there is none: %v", c.Problem(classKind))
	}
	close(allowed)
	mapper.gadgets.Store(new("v1"))
	eventually(t, "both kinds, once they can be watched", c.Synced)
	if c.Problem(ingressKind) != nil || c.Problem(gadgetKind) != nil {
		t.Errorf("still a problem: %v, %v", c.Problem(ingressKind), c.Problem(gadgetKind))
	}
}

func refuse(err error, until chan struct{}) clienttesting.ReactionFunc {
	return func(clienttesting.Action) (bool, runtime.Object, error) {
		select {
		case <-until:
			return false, nil, nil
		default:
			return true, nil, err
		}
	}
}

// When the API server is lost, what was read stays, and can be told to be old.
// A CustomResourceDefinition can go, and come back with another version.
func TestKindsMoveToAnotherVersion(t *testing.T) {
	c, server, mapper := testCluster(t)
	gadget := func(version, name string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/" + version, "kind": "Gadget"}}
		object.SetNamespace("shop")
		object.SetName(name)
		return object
	}
	open := map[string]*watch.FakeWatcher{"v1": watch.NewFake(), "v2": watch.NewFake()}
	served := atomic.Pointer[string]{}
	v1, v2 := "v1", "v2"
	served.Store(&v1)
	server.PrependReactor("list", "gadgets", func(action clienttesting.Action) (bool, runtime.Object, error) {
		version := action.GetResource().Version
		if now := served.Load(); now == nil || *now != version {
			return true, nil, apierrors.NewNotFound(action.GetResource().GroupResource(), "")
		}
		list := &unstructured.UnstructuredList{Items: []unstructured.Unstructured{*gadget(version, version)}}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.com", Version: version, Kind: "GadgetList"})
		return true, list, nil
	})
	server.PrependWatchReactor("gadgets", func(action clienttesting.Action) (bool, watch.Interface, error) {
		if served.Load() == nil {
			return true, nil, apierrors.NewNotFound(gadgets.GroupResource(), "")
		}
		return true, open[action.GetResource().Version], nil
	})
	mapper.gadgets.Store(&v1)
	c.Watch(t.Context(), gadgetKind)
	eventually(t, "v1", func() bool { _, found, err := c.Get(gadgetKind, "shop", "v1"); return found && err == nil })

	served.Store(nil)
	mapper.gadgets.Store(nil)
	open["v1"].Error(&metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonExpired, Code: 410})
	open["v1"].Stop()
	eventually(t, "nothing is known", func() bool { _, _, err := c.Get(gadgetKind, "shop", "v1"); return errors.Is(err, ErrNotSynced) })

	served.Store(&v2)
	mapper.gadgets.Store(&v2)
	eventually(t, "v2", func() bool { _, found, err := c.Get(gadgetKind, "shop", "v2"); return found && err == nil })
	if _, found, _ := c.Get(gadgetKind, "shop", "v1"); found {
		t.Error("an object of the CustomResourceDefinition before is still there")
	}
}

func TestTheAPIServerIsLost(t *testing.T) {
	c, server, _ := testCluster(t, unstructuredIngress("shop", "web"))
	var lost atomic.Bool
	var events atomic.Pointer[watch.FakeWatcher]
	server.PrependWatchReactor("ingresses", func(clienttesting.Action) (bool, watch.Interface, error) {
		if lost.Load() {
			return true, nil, errors.New("no route to host")
		}
		w := watch.NewFake()
		events.Store(w)
		return true, w, nil
	})
	until := make(chan struct{})
	server.PrependReactor("list", "ingresses", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if lost.Load() {
			return refuse(errors.New("no route to host"), until)(action)
		}
		return false, nil, nil
	})
	c.Watch(t.Context(), ingressKind)
	eventually(t, "the watch", func() bool { return c.Synced() && events.Load() != nil })
	claim := HostClaim{HostClaims: hostClaims("lab", "free.example.com")}
	if _, release, err := c.ClaimHosts(claim, time.Now().Add(time.Hour)); err != nil || c.Problem(ingressKind) != nil {
		t.Fatalf("%v, %v", err, c.Problem(ingressKind))
	} else {
		release()
	}
	lost.Store(true)
	events.Load().Stop()
	eventually(t, "the problem", func() bool { return c.Problem(ingressKind) != nil })
	if got := names(t, c.Index, ingressKind, "shop"); got != "web" || !c.Synced() {
		t.Errorf("lost what was read: %q", got)
	}
	if _, release, err := c.ClaimHosts(claim, time.Now().Add(time.Hour)); err != nil {
		t.Errorf("lost a moment ago: %v", err)
	} else {
		release()
	}
	c.watch(ingressKind).behind.Store(new(time.Now().Add(-2 * staleAfter)))
	if _, _, err := c.ClaimHosts(claim, time.Now().Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "not known since") {
		t.Errorf("lost long ago: %v", err)
	}
	close(until)
	lost.Store(false)
	eventually(t, "the end of the problem", func() bool { return c.Problem(ingressKind) == nil })
}

func TestObjectsThatCanNotBeRead(t *testing.T) {
	c, _, _ := testCluster(t)
	w := &watched{kind: ingressKind, cluster: c}
	bad := unstructuredIngress("shop", "bad")
	bad.Object["spec"] = map[string]any{"rules": "none"}
	if err := w.Replace([]any{bad}, ""); err != nil {
		t.Fatal(err)
	}
	_, err := c.Index.HostConflicts(hostClaims("lab", "a.example.com"), nil)
	if err == nil || !strings.Contains(err.Error(), "which hosts the Ingress shop/bad serves is unknown") {
		t.Errorf("hosts that can't be read: %v", err)
	}
	if err := w.Delete(bad); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Index.HostConflicts(hostClaims("lab", "a.example.com"), nil); err != nil {
		t.Errorf("deleted: %v", err)
	}
}

func TestNamespaceOfCluster(t *testing.T) {
	c, _, _ := testCluster(t)
	shop := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": map[string]any{"team": "a"}}}}
	w := &watched{kind: namespaceKind, cluster: c, stop: func() {}}
	c.watched[namespaceKind] = w
	if err := w.Replace([]any{shop}, ""); err != nil {
		t.Fatal(err)
	}
	object, err := c.Namespace(context.Background(), "shop")
	if err != nil || object.Get("metadata", "labels", "team").Text() != "a" {
		t.Errorf("%v, %v", object, err)
	}
	w.drop()
	if err := w.Add(shop); err != nil {
		t.Error(err)
	}
	if objects, _ := c.Index.List(namespaceKind, ""); len(objects) > 0 {
		t.Error(fmt.Sprint("an event after the end was kept: ", objects))
	}
}

// Who looks for a host asks for its class, while Ingresses come to be watched no more.
func TestAKindIsDroppedWhileHostsAreLookedFor(t *testing.T) {
	c, _, _ := testCluster(t)
	c.Watch(t.Context(), ingressKind)
	eventually(t, "sync", c.Synced)
	alias := HostClaim{HostClaims: facts.HostClaims{Namespace: "a", Name: "x", Class: "nginx", Hosts: []facts.Host{{Host: ".example.com", Via: facts.ViaAlias}}}}
	if _, _, err := c.Index.ClaimHosts(alias, time.Now().Add(time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	watched, found := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(found)
		of := facts.HostClaims{Namespace: "b", Name: "x", Class: "nginx", Hosts: []facts.Host{{Host: "shop.example.com", Via: facts.ViaRule}}}
		_, _, _ = c.Index.ClaimHosts(HostClaim{HostClaims: of}, time.Now().Add(time.Hour), func(class string) (string, error) {
			go func() { c.Watch(t.Context()); close(watched) }()
			for c.watch(ingressKind) != nil {
				time.Sleep(time.Millisecond)
			}
			_, _, err := c.Get(namespaceKind, "", class)
			return "", err
		})
	}()
	for _, done := range []chan struct{}{found, watched} {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("they wait for each other")
		}
	}
}
