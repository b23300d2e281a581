package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// sentIngress is an Ingress as an API server writes it.
func sentIngress(name, version string, paths int) string {
	object := unstructuredIngress("shop", name)
	object.SetResourceVersion(version)
	path := map[string]any{"path": "/", "pathType": "Prefix"}
	rule := object.Object["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
	list := make([]any, paths)
	for i := range list {
		list[i] = path
	}
	rule["http"] = map[string]any{"paths": list}
	text, _ := json.Marshal(object)
	return string(text)
}

func bookmark(version string, annotations string) string {
	return fmt.Sprintf(`{"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"resourceVersion":%q,"annotations":{%s}},"spec":{},"status":{}}`, version, annotations)
}

// sending is a client of an API server that sends these events, each a type and an object, to whoever watches, and has nothing to list.
func sending(t *testing.T, events ...[2]string) dynamic.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "" {
			_, _ = w.Write([]byte(`{"kind":"IngressList","apiVersion":"networking.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[` + sentIngress("listed", "1", 1) + `]}`))
			return
		}
		for i, event := range events {
			written := []string{`{"type":%[1]q,"object":%[2]s}`, `{ "type": %[1]q, "object": %[2]s }`, `{"object":%[2]s,"type":%[1]q}`}[i%3]
			_, _ = fmt.Fprintf(w, written+"\n", event[0], event[1])
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(&rest.Config{Host: server.URL}, &http.Client{})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestWatchClientReadsObjects(t *testing.T) {
	large := sentIngress("large", "4", 40_000) // more values than a Document has
	client := sending(t, [2]string{"ADDED", sentIngress("web", "2", 3)}, [2]string{"MODIFIED", large}, [2]string{"BOOKMARK", bookmark("5", `"k8s.io/initial-events-end":"true"`)},
		[2]string{"BOOKMARK", bookmark("6", "")}, [2]string{"DELETED", sentIngress("web", "7", 3)},
		[2]string{"ERROR", `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old","reason":"Expired","code":410}`})
	events, err := client.Resource(ingresses).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	next := func(of watch.EventType) runtime.Object {
		event := <-events.ResultChan()
		if event.Type != of {
			t.Fatalf("got a %s of %v, want %s", event.Type, event.Object, of)
		}
		return event.Object
	}
	w := &watched{kind: ingressKind}
	observe := func(x runtime.Object, name, version string) *observed {
		o, err := w.observe(x)
		if err != nil || o.Namespace != "shop" || o.Name != name || o.ResourceVersion != version {
			t.Fatalf("got %+v %v, want %s in version %s", o, err, name, version)
		}
		if o.ingress.err != nil || len(o.ingress.claims) != 1 || o.ingress.uid != "0f9e8d7c-0000-4000-8000-000000000000" {
			t.Errorf("%s: read as %+v", name, o.ingress)
		}
		return o
	}
	object := next(watch.Added)
	if kind := object.GetObjectKind().GroupVersionKind(); kind.GroupKind() != ingressKind || kind.Version != "v1" {
		t.Errorf("kind %v", kind)
	}
	web := observe(object, "web", "2")
	if read, err := (&entry{raw: web.raw}).document(); err != nil || len(web.raw) > 1000 || read.Get("metadata", "annotations").Len() != 1 ||
		read.Get("spec", "rules").Elements()[0].Get("http", "paths").Len() != 3 {
		t.Errorf("kept %s (%v)", web.raw, err)
	}
	if _, is := object.(*received); !is {
		t.Errorf("a %T", object)
	}
	observe(next(watch.Modified), "large", "4")
	for _, ends := range []string{"true", ""} {
		metadata := next(watch.Bookmark).(metav1.ObjectMetaAccessor).GetObjectMeta()
		if metadata.GetAnnotations()[metav1.InitialEventsAnnotationKey] != ends || metadata.GetResourceVersion() == "" {
			t.Errorf("bookmark %+v, want the end of the first objects %q", metadata, ends)
		}
	}
	observe(next(watch.Deleted), "web", "7")
	if err := apierrors.FromObject(next(watch.Error)); !apierrors.IsResourceExpired(err) || !strings.Contains(err.Error(), "too old") {
		t.Errorf("got the error %v", err)
	}
	list, err := client.Resource(ingresses).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.GetResourceVersion() != "1" {
		t.Fatalf("listed %v, %v", list, err)
	}
	observe(&list.Items[0], "listed", "1")
}

func TestWatchClientRefusesWhatIsNoObject(t *testing.T) {
	for _, object := range []string{`[]`, `1`, `{}`, `{"kind":1}`} {
		events, err := sending(t, [2]string{"ADDED", object}).Resource(ingresses).Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if event := <-events.ResultChan(); event.Type != watch.Error {
			t.Errorf("%s: got a %s of %v", object, event.Type, event.Object)
		}
		events.Stop()
	}
}

func TestEventsAreReadHoweverTheyAreWritten(t *testing.T) {
	plain := dynamic.ConfigFor(&rest.Config{}).NegotiatedSerializer
	reference := plain.SupportedMediaTypes()[0].StreamSerializer.Serializer
	fast := watchSerializer{plain}.SupportedMediaTypes()[0].StreamSerializer.Serializer
	for _, text := range []string{
		`{"type":"ADDED","object":{"a":1}}`, `{"object":{"a":1},"type":"ADDED"}`, `{"type":"ADDED", "object":{"a":1}}`, `{"type":"ADDED","object":{}}`,
		`{"type":"AD\u0044ED","object":{"a":1}}`, `{"type":"A","other":"B","object":{"a":1}}`, `{"type":"A\",\"object\":B","object":{"a":1}}`, `{"type":"ADDED"}`, `{"type":1}`,
	} {
		var want, got metav1.WatchEvent
		data := []byte(text)
		_, _, failed := reference.Decode(data, nil, &want)
		read, _, err := fast.Decode(data, nil, &got)
		clear(data) // as by the next event
		if (err == nil) != (failed == nil) || err == nil && (read != runtime.Object(&got) || got.Type != want.Type || !bytes.Equal(got.Object.Raw, want.Object.Raw)) {
			t.Errorf("%s: got %q %s, %v; want %q %s, %v", text, got.Type, got.Object.Raw, err, want.Type, want.Object.Raw, failed)
		}
	}
}
