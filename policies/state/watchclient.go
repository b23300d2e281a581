package state

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sluice-gate/sluice/policies/engine"
)

// NewClient is a dynamic client for NewCluster. What its watches tell it reads once, as the state needs it, and so in a third of the
// time that an Unstructured takes, which has to be written out and read again.
func NewClient(config *rest.Config, client *http.Client) (dynamic.Interface, error) {
	config = dynamic.ConfigFor(config)
	config.NegotiatedSerializer = watchSerializer{config.NegotiatedSerializer}
	asked, err := rest.UnversionedRESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	return dynamic.New(asked), nil
}

// watchSerializer reads the objects of JSON watches as received.
type watchSerializer struct{ runtime.NegotiatedSerializer }

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (s watchSerializer) DecoderToVersion(decoder runtime.Decoder, version runtime.GroupVersioner) runtime.Decoder {
	return watchDecoder{s.NegotiatedSerializer.DecoderToVersion(decoder, version)}
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (s watchSerializer) SupportedMediaTypes() []runtime.SerializerInfo {
	types := slices.Clone(s.NegotiatedSerializer.SupportedMediaTypes())
	for i := range types {
		if stream := types[i].StreamSerializer; stream != nil && types[i].MediaType == runtime.ContentTypeJSON {
			events := *stream
			events.Serializer = eventSerializer{stream.Serializer}
			types[i].StreamSerializer = &events
		}
	}
	return types
}

// eventSerializer takes events apart that are written as API servers do, which takes as long to scan as the object in them.
type eventSerializer struct{ runtime.Serializer }

// Decode implements runtime.Decoder.
func (s eventSerializer) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, is := into.(*metav1.WatchEvent); is {
		if kind, object, ok := cutEvent(data); ok {
			event.Type, event.Object.Raw = kind, bytes.Clone(object) // data is used again for the next one
			return event, defaults, nil
		}
	}
	return s.Serializer.Decode(data, defaults, into)
}

// cutEvent cuts a JSON value that begins as an event does.
func cutEvent(data []byte) (kind string, object []byte, ok bool) {
	rest, begins := bytes.CutPrefix(data, []byte(`{"type":"`))
	name, rest, goesOn := bytes.Cut(rest, []byte(`","object":`))
	object, ends := bytes.CutSuffix(rest, []byte("}"))
	return string(name), object, begins && goesOn && ends && !bytes.ContainsAny(name, `"\\`)
}

type watchDecoder struct{ runtime.Decoder }

// Decode implements runtime.Decoder. A watch leaves open what is to be read. What it reads can be more than a Document has: then it is
// an Unstructured.
func (d watchDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if into == nil {
		if read, ok := readReceived(data); ok {
			kind := read.GroupVersionKind()
			return read, &kind, nil
		}
	}
	return d.Decoder.Decode(data, defaults, into)
}

// received is an object of a watch, with as much of its metadata as the reflector and the state ask for.
type received struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	document engine.Document
	raw      []byte // as the state keeps it
}

// readReceived reads an object; not a Status, as which a watch tells of errors.
func readReceived(data []byte) (*received, bool) {
	document, raw, err := engine.ParseTrimmed(data)
	kind := document.Get("kind").Text()
	if err != nil || kind == "" || kind == "Status" {
		return nil, false
	}
	metadata := document.Get("metadata")
	r := &received{TypeMeta: metav1.TypeMeta{APIVersion: document.Get("apiVersion").Text(), Kind: kind}, document: document, raw: raw}
	// The reflector keeps these, and with them what they are part of.
	r.Namespace, r.Name = strings.Clone(metadata.Get("namespace").Text()), strings.Clone(metadata.Get("name").Text())
	r.ResourceVersion = strings.Clone(metadata.Get("resourceVersion").Text())
	if ends := metadata.Get("annotations", metav1.InitialEventsAnnotationKey); ends.Exists() {
		r.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: ends.Text()}
	}
	return r, true
}

// DeepCopyObject implements runtime.Object.
func (r *received) DeepCopyObject() runtime.Object {
	out := *r
	r.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}
