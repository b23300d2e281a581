package controllers

import (
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// apiServer serves the kind Widget in versions of a group, the preferred first.
type apiServer struct {
	discovery.ServerResourcesInterface
	versions []string
	err      error
}

func (s *apiServer) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	group := &metav1.APIGroup{Name: "example.dev"}
	var lists []*metav1.APIResourceList
	for _, version := range s.versions {
		gv := schema.GroupVersion{Group: group.Name, Version: version}.String()
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv, Version: version})
		if s.err == nil {
			lists = append(lists, &metav1.APIResourceList{GroupVersion: gv, APIResources: []metav1.APIResource{{Name: "widgets", Kind: "Widget", Namespaced: true}}})
		}
	}
	return []*metav1.APIGroup{group}, lists, s.err
}

func TestKindsFollowTheAPIServer(t *testing.T) {
	server, now := &apiServer{}, time.Unix(1000, 0)
	kinds := NewKinds(nil, server)
	kinds.now = func() time.Time { return now }
	widget := schema.GroupKind{Group: "example.dev", Kind: "Widget"}
	steps := []struct {
		name   string
		change func()
		want   string // version; "" is not served
	}{
		{"not there", func() {}, ""},
		{"there, but looked for a moment ago", func() { server.versions = []string{"v1"} }, ""},
		{"there", func() { now = now.Add(missRetry) }, "v1"},
		{"moved, and nobody said so", func() { server.versions = []string{"v2", "v1"} }, "v1"},
		{"moved", kinds.Forget, "v2"},
		{"not answering", func() {
			kinds.Forget()
			server.err = &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{
				{Group: "example.dev", Version: "v1"}: errUnreachable, {Group: "example.dev", Version: "v2"}: errUnreachable}}
		}, "v2"},
		{"gone", func() { kinds.Forget(); server.err, server.versions = nil, nil }, ""},
	}
	for _, step := range steps {
		step.change()
		got := ""
		mapping, err := kinds.RESTMapping(widget)
		if err == nil {
			got = mapping.Resource.Version
		}
		if got != step.want || err != nil && !meta.IsNoMatchError(err) {
			t.Errorf("%s: got %q, error %v, want %q", step.name, got, err, step.want)
		}
	}
	kinds.Forget()
	server.err = errUnreachable
	if _, err := kinds.RESTMapping(widget); !errors.Is(err, errUnreachable) || meta.IsNoMatchError(err) {
		t.Errorf("an API server that does not answer: %v", err)
	}
}
