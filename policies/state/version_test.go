package state

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func policyAt(name, version string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"namespace": "shop", "name": name, "uid": "u-" + name, "resourceVersion": version}}}
}

func watching(t *testing.T) (*Cluster, *watched) {
	t.Helper()
	c := NewCluster(nil, nil, nil, time.Now)
	w := &watched{kind: networkPolicyKind, cluster: c}
	c.watched[networkPolicyKind] = w
	return c, w
}

// A version that others are told to wait for has to come to them: by what everybody who watches sees.
func TestVersions(t *testing.T) {
	c, w := watching(t)
	for _, step := range []struct {
		what          string
		do            func() error
		change, known uint64 // the last change, and up to where all is known
	}{
		{"a list", func() error { return w.Replace([]any{policyAt("a", "5"), policyAt("b", "7")}, "20") }, 20, 20},
		{"a change", func() error { return w.Update(policyAt("a", "22")) }, 22, 22},
		{"a bookmark", func() error { return w.Bookmark("30") }, 22, 30},
		{"a deletion", func() error { return w.Delete(policyAt("a", "31")) }, 31, 31},
		{"a list without change", func() error { return w.Replace([]any{policyAt("b", "7")}, "35") }, 31, 35},
		{"a list that lacks what was there", func() error { return w.Replace([]any{}, "40") }, 40, 40},
		{"a list of who knows less", func() error { return w.Replace([]any{policyAt("b", "7")}, "33") }, 33, 33},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if change, known := c.Version(networkPolicyKind), w.version; change != step.change || known != step.known {
			t.Errorf("%s: the last change is %d, all is known to %d, want %d and %d", step.what, change, known, step.change, step.known)
		}
	}
	if got := c.Version(schema.GroupKind{Kind: "Service"}); got != 0 {
		t.Errorf("of a kind that is not watched the version is %d", got)
	}
}

func TestAwaitVersion(t *testing.T) {
	c, w := watching(t)
	if err := c.AwaitVersion(t.Context(), networkPolicyKind, 0); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.AwaitVersion(ctx, networkPolicyKind, 5); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too early: %v", err)
	}
	done := make(chan error, 3)
	for range cap(done) {
		go func() { done <- c.AwaitVersion(t.Context(), networkPolicyKind, 5) }()
	}
	for _, version := range []string{"3", "4", "6"} {
		if err := w.Bookmark(version); err != nil {
			t.Fatal(err)
		}
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := c.AwaitVersion(t.Context(), schema.GroupKind{Kind: "Service"}, 1); err == nil {
		t.Error("a kind that is not watched")
	}
}

func TestPolicyChanged(t *testing.T) {
	c, w := watching(t)
	change := func(name string, version int) PolicyChange {
		return PolicyChange{Namespace: "shop", Name: name, UID: "u-" + name, ResourceVersion: fmt.Sprint(version)}
	}
	if err := w.Replace([]any{policyAt("a", "5")}, "6"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		of   PolicyChange
		want bool
	}{
		{"still the one that is to be changed", change("a", 5), false},
		{"older than what is to be changed", change("a", 9), false},
		{"newer", change("a", 4), true},
		{"not seen yet", change("b", 9), false},
		{"gone", change("b", 3), true},
		{"made anew", PolicyChange{Namespace: "shop", Name: "a", UID: "other", ResourceVersion: "4"}, true},
		{"made anew, and not seen yet", PolicyChange{Namespace: "shop", Name: "a", UID: "other", ResourceVersion: "9"}, false},
		{"no version", PolicyChange{Namespace: "shop", Name: "a", UID: "u-a", ResourceVersion: "x"}, false},
	} {
		if got := c.PolicyChanged(step.of); got != step.want {
			t.Errorf("%s: %v, want %v", step.what, got, step.want)
		}
	}
}

// Whether a policy selects all pods goes by what its selector means: no requirement.
func TestChangeOf(t *testing.T) {
	for selector, all := range map[string]bool{
		`{}`: true, `{"matchLabels":{}}`: true, `{"matchLabels":{},"matchExpressions":[]}`: true, `null`: true,
		`{"matchLabels":{"a":"b"}}`: false, `{"matchExpressions":[{"key":"a","operator":"DoesNotExist"}]}`: false,
	} {
		policy := document(t, fmt.Sprintf(`{"metadata":{"namespace":"shop","name":"web","uid":"u","resourceVersion":"7"},"spec":{"podSelector":%s}}`, selector))
		if got, want := ChangeOf("shop", policy), (PolicyChange{Namespace: "shop", Name: "web", UID: "u", ResourceVersion: "7", SelectsAll: all}); got != want {
			t.Errorf("%s: %+v, want %+v", selector, got, want)
		}
		live, err := NewLivePolicy(policy)
		if err != nil || live.SelectsAll != all {
			t.Errorf("%s: selects all %v, %v", selector, live.SelectsAll, err)
		}
	}
}
