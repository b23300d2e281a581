package controllers

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

func objectOf(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// Contents are the same if dataplanes read the same.
func TestContent(t *testing.T) {
	const floor = `{"kind": "K", "metadata": {"name": "a"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}}`
	for _, c := range []struct {
		name, other string
		same        bool
	}{
		{"an empty list is no list", `{"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}`, true},
		{"null is nothing", `{"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "egress": null}}`, true},
		{"status and metadata are not content", `{"metadata": {"labels": {"a": "b"}}, "status": {"x": 1}, "spec": {"policyTypes": ["Ingress"], "podSelector": {}}}`, true},
		{"an empty rule opens everything", `{"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}`, false},
		{"an empty selector selects everything", `{"spec": {"policyTypes": ["Ingress"]}}`, false},
		{"another type", `{"spec": {"podSelector": {}, "policyTypes": ["Egress"]}}`, false},
		{"one more field beside spec", `{"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}, "specs": [{}]}`, false},
	} {
		want, err := contentOf(objectOf(t, floor))
		if err != nil {
			t.Fatal(err)
		}
		got, err := contentOf(objectOf(t, c.other))
		if err != nil {
			t.Fatal(err)
		}
		if (got == want) != c.same {
			t.Errorf("%s: %s and %s", c.name, got, want)
		}
	}
}

// What the API server keeps says what was sent if it only adds fields to it.
func TestSaysAll(t *testing.T) {
	const asked = `{"spec":{"ingress":[{"ports":[{"port":80}]}],"egress":[],"podSelector":{}}}`
	for _, c := range []struct {
		name, kept string
		want       bool
	}{
		{"the same", asked, true},
		{"with defaults", `{"spec":{"ingress":[{"ports":[{"port":80,"protocol":"TCP"}]}],"podSelector":{},"policyTypes":["Ingress"]}}`, true},
		{"with status and other metadata", `{"metadata":{"a":"b"},"status":{},"spec":{"ingress":[{"ports":[{"port":80}]}],"podSelector":{}}}`, true},
		{"a rule in an empty list", `{"spec":{"ingress":[{"ports":[{"port":80}]}],"egress":[{}],"podSelector":{}}}`, false},
		{"one rule more", `{"spec":{"ingress":[{"ports":[{"port":80}]},{}],"podSelector":{}}}`, false},
		{"one rule less", `{"spec":{"podSelector":{}}}`, false},
		{"another port", `{"spec":{"ingress":[{"ports":[{"port":81}]}],"podSelector":{}}}`, false},
		{"a rule that opens more", `{"spec":{"ingress":[{}],"podSelector":{}}}`, false},
		{"an empty selector that is gone", `{"spec":{"ingress":[{"ports":[{"port":80}]}]}}`, false},
	} {
		if got := saysAll(objectOf(t, c.kept), objectOf(t, asked)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMarks(t *testing.T) {
	object := func(change func(*unstructured.Unstructured)) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		u.SetLabels(map[string]string{v1alpha1.GeneratedByLabel: "p"})
		u.SetAnnotations(map[string]string{v1alpha1.PolicyGenerationAnnotation: "1", v1alpha1.TriggerAnnotation: "Namespace/a"})
		u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "GatePolicy", Name: "p", UID: "1"}})
		if change != nil {
			change(u)
		}
		return u
	}
	for _, c := range []struct {
		name   string
		change func(*unstructured.Unstructured)
		want   bool
	}{
		{"the same", nil, true},
		{"one label more", func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{v1alpha1.GeneratedByLabel: "p", "a": "b"})
		}, true},
		{"written for an earlier generation", func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{v1alpha1.PolicyGenerationAnnotation: "0", v1alpha1.TriggerAnnotation: "Namespace/a"})
		}, true},
		{"without generation", func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{v1alpha1.TriggerAnnotation: "Namespace/a"})
		}, false},
		{"another policy's", func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{v1alpha1.GeneratedByLabel: "q"}) }, false},
		{"no label", func(u *unstructured.Unstructured) { u.SetLabels(nil) }, false},
		{"no owner", func(u *unstructured.Unstructured) { u.SetOwnerReferences(nil) }, false},
		{"an owner more", func(u *unstructured.Unstructured) {
			u.SetOwnerReferences(append(u.GetOwnerReferences(), metav1.OwnerReference{UID: "2"}))
		}, false},
	} {
		if got := isMarked(object(c.change), object(nil)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// An object that two policies ask for is that of the first by name, and of one that many ask for the last asker decides.
func TestAskedByTwo(t *testing.T) {
	var l ledger
	l.init()
	first, second := l.take("a", policyVersion{}, time.Time{}, nil), l.take("b", policyVersion{}, time.Time{}, nil)
	object, one, two := objectKey{Name: "o"}, objectKey{Name: "one"}, objectKey{Name: "two"}
	if other := second.ask(one, object); other != "" {
		t.Errorf("nobody else asks, got %q", other)
	}
	if other := first.ask(one, object); other != "" {
		t.Errorf("a comes before b, got %q", other)
	}
	if other := second.ask(one, object); other != "a" {
		t.Errorf("got %q, want a", other)
	}
	first.release(one)
	if other := second.ask(one, object); other != "" {
		t.Errorf("a only retains it, got %q", other)
	}
	first.ask(one, object)
	l.forgetPolicy("a")
	first.exists(one, object) // by a worker that doesn't know yet
	if other := second.ask(one, object); other != "" {
		t.Errorf("a is gone, got %q", other)
	}
	second.ask(two, object)
	if !second.isShared(one, object) {
		t.Error("two asks for it, too")
	}
	second.drop(two, object)
	if second.isShared(one, object) {
		t.Error("only one asks for it")
	}
	if got := l.seen(object); len(got) != 1 || got[0] != one {
		t.Errorf("seen: %v", got)
	}
}

// Nothing is over before everything was looked at; then what nobody asked for is left.
func TestPass(t *testing.T) {
	var l ledger
	l.init()
	wanted, over, one, two := objectKey{Name: "wanted"}, objectKey{Name: "over"}, objectKey{Name: "one"}, objectKey{Name: "two"}
	now := policyVersion{"uid", 2}
	h := l.take("p", now, time.Time{}, map[objectKey][]objectKey{unattributed: {wanted, over}})
	l.begin([]objectKey{one, two})
	h.ask(one, wanted)
	if l.end(one) {
		t.Error("two was not looked at")
	}
	if _, done := l.pass(map[string]policyVersion{"p": now}); done || l.hasPassed("p", now) {
		t.Error("passed before two was looked at")
	}
	if !l.end(two) || l.end(two) {
		t.Error("two is the last, once")
	}
	left, done := l.pass(map[string]policyVersion{"p": now})
	if !done || len(left["p"]) != 1 || left["p"][0] != over {
		t.Errorf("left %v, done %v", left, done)
	}
	if !l.hasPassed("p", now) || l.hasPassed("p", policyVersion{"uid", 3}) || l.hasPassed("q", now) {
		t.Error("the version that passed did, and no other")
	}
}

// A write counts as seen only until a watch tells of the object.
func TestReceipts(t *testing.T) {
	var l ledger
	l.init()
	key := objectKey{Name: "o"}
	l.writes(key, "uid/7", "content")
	if !l.isWritten(key, "uid/7", "content") || l.isWritten(key, "uid/8", "content") || l.isWritten(key, "uid/7", "other") {
		t.Error("a receipt is for one version and one content")
	}
	l.seen(key)
	if l.isWritten(key, "uid/7", "content") {
		t.Error("the watch told of it: deleted again, it has the version of one that never was")
	}
	key.Kind = namespaceKind
	l.writes(key, "/", "content")
	l.forgetReceipts(podKind)
	if !l.isWritten(key, "/", "content") {
		t.Error("another kind was read")
	}
	l.forgetReceipts(namespaceKind)
	if l.isWritten(key, "/", "content") {
		t.Error("the kind was read as a whole")
	}
}

func TestThrottle(t *testing.T) {
	var l ledger
	l.init()
	key := objectKey{Name: "o"}
	for i := range writeBurst {
		if wait := l.throttle(key); wait != 0 {
			t.Fatalf("write %d has to wait %s", i, wait)
		}
	}
	if wait := l.throttle(key); wait <= 0 || wait > writeInterval {
		t.Errorf("one more has to wait %s", wait)
	}
	if wait := l.throttle(objectKey{Name: "other"}); wait != 0 {
		t.Errorf("another object has to wait %s", wait)
	}
}
