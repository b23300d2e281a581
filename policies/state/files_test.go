package state

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
)

func document(t *testing.T, yaml string) engine.Document {
	t.Helper()
	docs, problems := manifest.Documents("test.yaml", []byte(yaml))
	if len(docs) != 1 || len(problems) > 0 {
		t.Fatalf("%d documents, problems %v", len(docs), problems)
	}
	object, err := engine.ParseJSON(docs[0].JSON)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func service(t *testing.T, namespace, name string) engine.Document {
	return document(t, fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {namespace: %s, name: %s}}", namespace, name))
}

func names(t *testing.T, x *Index, kind schema.GroupKind, namespace string) string {
	t.Helper()
	objects, err := x.List(kind, namespace)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, object := range objects {
		metadata := object.Get("metadata")
		out = append(out, metadata.Get("name").Text()+metadata.Get("generateName").Text())
	}
	return strings.Join(out, " ")
}

func TestIndexListsByKindAndNamespaceSortedByName(t *testing.T) {
	x := NewIndex()
	for _, name := range []string{"shop/web", "shop/api", "blog/web", "shop/db", "shop/api"} {
		namespace, name, _ := strings.Cut(name, "/")
		x.Put(service(t, namespace, name))
	}
	x.Put(document(t, "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {namespace: shop, name: fn}}"))
	core := schema.GroupKind{Kind: "Service"}
	if got := names(t, x, core, "shop"); got != "api db web" {
		t.Errorf("shop: %q", got)
	}
	if got := names(t, x, core, ""); got != "" {
		t.Errorf("cluster-scoped: %q", got)
	}
	if got := names(t, x, schema.GroupKind{Group: "serving.knative.dev", Kind: "Service"}, "shop"); got != "fn" {
		t.Errorf("another group: %q", got)
	}
	before, _ := x.List(core, "shop")
	x.Delete(core, "shop", "db")
	x.Delete(core, "shop", "nothing")
	x.Delete(core, "nowhere", "db")
	if got := names(t, x, core, "shop"); got != "api web" {
		t.Errorf("after delete: %q", got)
	}
	if len(before) != 3 || before[1].Get("metadata", "name").Text() != "db" {
		t.Error("a later delete changed an earlier answer")
	}
	if _, found, err := x.Get(core, "shop", "db"); found || err != nil {
		t.Errorf("db is still there (%v)", err)
	}
	if object, found, err := x.Get(core, "blog", "web"); !found || err != nil || object.Get("kind").Text() != "Service" {
		t.Errorf("blog/web: %v %v", found, err)
	}
}

func TestIndexKeepsObjectsWithGeneratedNamesApart(t *testing.T) {
	x := NewIndex()
	for range 2 {
		x.Put(document(t, "{apiVersion: v1, kind: Pod, metadata: {namespace: shop, generateName: web-}}"))
	}
	if got := names(t, x, schema.GroupKind{Kind: "Pod"}, "shop"); got != "web- web-" {
		t.Errorf("%q", got)
	}
}

func TestFilesNamespace(t *testing.T) {
	f := NewFiles()
	f.Put(document(t, "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}"))
	object, err := f.Namespace(context.Background(), "shop")
	if err != nil || object.Get("metadata", "labels", "team").Text() != "a" {
		t.Errorf("%v, %v", object, err)
	}
	if _, err := f.Namespace(context.Background(), "blog"); err == nil || !strings.Contains(err.Error(), "namespace blog") {
		t.Errorf("an unknown namespace: %v", err)
	}
}

func TestIndexIsSafeForConcurrentUse(t *testing.T) {
	x := NewIndex()
	kind := schema.GroupKind{Kind: "Service"}
	var objects []engine.Document
	for i := range 20 {
		objects = append(objects, service(t, "shop", fmt.Sprintf("s%02d", i)))
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i, object := range objects {
				x.Put(object)
				if listed, err := x.List(kind, "shop"); err != nil || len(listed) == 0 {
					t.Errorf("list: %d, %v", len(listed), err)
				}
				x.Delete(kind, "shop", fmt.Sprintf("s%02d", (i+10)%20))
				x.Put(object)
			}
		})
	}
	group.Wait()
}
