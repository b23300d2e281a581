// Package policies decides: it picks the policies for a request, has them evaluated, and turns what they
// say into one Decision. Webhook, command line and audit all come through Gate.
package policies

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Request is one object to judge: an AdmissionRequest, from a webhook or composed from a file.
type Request struct {
	UID         string
	Kind        schema.GroupVersionKind
	SubResource string
	Namespace   string // for a Namespace, its own name
	Name        string // empty on CREATE with generateName
	Operation   engine.Operation
	User        User
	DryRun      bool
	Object      engine.Document // absent on DELETE
	OldObject   engine.Document // absent on CREATE
	// Raw is the whole AdmissionRequest: the rules' input.request.
	Raw engine.Document
}

// User is who makes the request. From a file it is nobody: the zero User.
type User struct {
	Name   string
	Groups []string
}

// NewRequest reads an AdmissionRequest (admission.k8s.io/v1). What a verdict rests on has to be there:
// kind, operation, and the objects that the operation has.
func NewRequest(raw engine.Document) (Request, error) {
	if !raw.IsObject() {
		return Request{}, fmt.Errorf("the AdmissionReview has no request")
	}
	user := raw.Get("userInfo")
	r := Request{
		UID:         raw.Get("uid").Text(),
		Kind:        kindOf(raw.Get("kind")),
		SubResource: raw.Get("subResource").Text(),
		Namespace:   raw.Get("namespace").Text(),
		Name:        raw.Get("name").Text(),
		Operation:   engine.Operation(raw.Get("operation").Text()),
		User:        User{Name: user.Get("username").Text(), Groups: texts(user.Get("groups"))},
		DryRun:      raw.Get("dryRun").Bool(),
		Object:      raw.Get("object"),
		OldObject:   raw.Get("oldObject"),
		Raw:         raw,
	}
	return r, r.validate()
}

func (r Request) validate() error {
	operations := []engine.Operation{engine.Create, engine.Update, engine.Delete}
	switch {
	case r.Kind.Kind == "" || r.Kind.Version == "":
		return fmt.Errorf("request.kind is missing or has no kind and version")
	case !slices.Contains(operations, r.Operation):
		return fmt.Errorf("request.operation is %q, expected CREATE, UPDATE or DELETE", r.Operation)
	case r.Operation != engine.Delete && !r.Object.IsObject():
		return fmt.Errorf("request.object is missing in a %s", r.Operation)
	case r.Operation != engine.Create && !r.OldObject.IsObject():
		return fmt.Errorf("request.oldObject is missing in a %s", r.Operation)
	}
	return nil
}

// WithObject is the request with another object, such as the patched one.
func (r Request) WithObject(object engine.Document) Request {
	r.Object = object
	r.Raw = r.Raw.With("object", object)
	return r
}

// Subject is what a verdict is about: the object, or on DELETE the one that goes.
func (r Request) Subject() engine.Document {
	if r.Operation == engine.Delete {
		return r.OldObject
	}
	return r.Object
}

func kindOf(d engine.Document) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: d.Get("group").Text(), Version: d.Get("version").Text(), Kind: d.Get("kind").Text()}
}

func texts(d engine.Document) []string {
	elements := d.Elements()
	out := make([]string, 0, len(elements))
	for _, e := range elements {
		out = append(out, e.Text())
	}
	return out
}
