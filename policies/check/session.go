package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
	"github.com/sluice-gate/sluice/policies/state"
)

// evaluationTime bounds one policy on one object. It is generous beside what a webhook allows, since a busy CI
// machine must not make an object unjudgeable; the steps of the default budget bound what runs away.
const evaluationTime = 5 * time.Second

// session is one run: a gate, what exists so far, and what was found so far.
type session struct {
	options  Options
	gate     *policies.Gate
	state    state.Files
	existing map[identity]bool // from State and Old
	// generated is what was generated so far, and begun are the Namespaces for which that was asked.
	generated map[identity]policies.Generated
	begun     map[string]bool
	report    report.Report
	skipped   map[string]int
	denied    map[*manifest.Object]bool
	warned    map[*manifest.Object]bool
	watched   *manifest.Object   // whose findings are kept as the gate gave them
	seen      []policies.Finding // of watched
}

// identity is what tells objects apart.
type identity struct {
	kind            schema.GroupKind
	namespace, name string
}

func newSession(o Options) (*session, error) {
	if o.Policies == nil {
		return nil, errors.New("check: no policies")
	}
	s := &session{
		options: o, state: state.NewFiles(), existing: map[identity]bool{}, skipped: map[string]int{},
		generated: map[identity]policies.Generated{}, begun: map[string]bool{},
		denied: map[*manifest.Object]bool{}, warned: map[*manifest.Object]bool{},
	}
	budget := engine.DefaultBudget()
	budget.Time = evaluationTime
	var err error
	s.gate, err = o.Policies.Gate(policies.Options{State: s.state, Namespaces: s.state, Budget: budget})
	if err != nil {
		return nil, err
	}
	stdin := o.Stdin
	if slices.Contains(o.Paths, "-") {
		stdin = nil
	}
	for _, path := range slices.Concat(o.State, o.Old) {
		s.there(path, readInputs([]string{path}, stdin))
	}
	return s, nil
}

// there takes in what a path names as existing. That no object is in it is a problem; what else
// is in a folder beside them is counted, as among inputs.
func (s *session) there(path string, in inputs) {
	if in.empty() {
		s.problem(nil, manifest.Problem{File: path, Message: "it holds no document"})
	}
	none := in.objects() == 0
	for _, i := range in {
		file := i.file
		if none {
			for _, skipped := range file.Skipped {
				s.problem(nil, skipped.Other())
			}
			file.Skipped = nil
		}
		s.fileProblems(file)
		for _, object := range file.Objects {
			s.exists(object)
		}
	}
}

// exists adds an object that is there before anything is judged.
func (s *session) exists(object *manifest.Object) {
	document, _, ok := s.decode(object)
	if !ok {
		return
	}
	s.state.Put(document)
	s.existing[identityOf(document)] = true
}

// decode brings an object into stored form. It fails for input that can't be judged; a bad object of a kind
// that nobody asks about is only left out, and told by its kind among the skipped.
func (s *session) decode(object *manifest.Object) (document engine.Document, namespace string, ok bool) {
	decoded, problems := manifest.Decode(object, manifest.Options{Namespace: s.options.Namespace})
	if len(problems) > 0 && !s.concerns(groupKind(object)) {
		return engine.Document{}, "", false
	}
	if len(problems) == 0 {
		var err error
		if document, err = engine.ParseJSON(decoded.JSON); err == nil {
			return document, decoded.Namespace, true
		}
		problems = append(problems, object.Problem("", err.Error()))
	}
	for _, p := range problems {
		s.problem(object, p)
	}
	return engine.Document{}, "", false
}

// concerns tells whether some policy judges the kind or asks about it. A kind of the same name in another
// group, or in other letters, concerns too: it may be one that is no longer served, or never was.
func (s *session) concerns(kind schema.GroupKind) bool {
	return slices.Contains(s.gate.StateKinds(), kind) ||
		slices.ContainsFunc(s.gate.Kinds(), func(k schema.GroupKind) bool { return strings.EqualFold(k.Kind, kind.Kind) })
}

// judges tells whether some policy judges a kind of this name, and it may be half of an object: values of many Helm charts say
// by a kind alone whether they make a Deployment, a DaemonSet or a StatefulSet.
func (s *session) judges(kind string) bool {
	return slices.ContainsFunc(s.gate.Kinds(), func(k schema.GroupKind) bool { return k.Kind == kind && k.Group != appsv1.GroupName })
}

// subject is an object on its way through the gate.
type subject struct {
	object    *manifest.Object
	namespace string
	request   policies.Request // with the patches
	base      engine.Document  // before the patches
	patches   []policies.Patch
}

// prepare composes the request for an object and patches it. It fails for what is not to be judged, after
// saying why.
func (s *session) prepare(ctx context.Context, object *manifest.Object) (subject, bool) {
	document, namespace, ok := s.decode(object)
	kind := groupKind(object)
	if !slices.Contains(s.gate.Kinds(), kind) && (ok || !s.concerns(kind)) {
		s.skip(object, engine.FormatGroupKind(kind), true)
		switch {
		case ok && s.options.Operation == engine.Delete:
			s.state.Delete(kind, namespace, object.Name)
		case ok:
			s.state.Put(document)
		}
		return subject{}, false
	}
	if !ok {
		return subject{}, false
	}
	sub := subject{object: object, namespace: namespace, base: document}
	request, err := s.compose(document)
	if err != nil {
		s.problem(object, object.Problem("", err.Error()))
		return subject{}, false
	}
	decision := s.gate.Mutate(ctx, request)
	sub.patches = decision.Patches
	if sub.request, err = request.Patched(decision.Patches); err != nil {
		s.problem(object, object.Problem("", err.Error()))
		return subject{}, false
	}
	s.findings(sub, decision.Findings...)
	return sub, true
}

// compose is the request for an object. It settles the operation and finds the old object.
func (s *session) compose(document engine.Document) (policies.Request, error) {
	id := identityOf(document)
	old, found, err := s.state.Get(id.kind, id.namespace, id.name)
	if err != nil {
		return policies.Request{}, err
	}
	operation := s.options.Operation
	_, generated := s.generated[id]
	switch {
	case operation == "" && (s.existing[id] || generated) && found:
		operation = engine.Update
	case operation == "":
		operation = engine.Create
	}
	switch {
	case operation == engine.Update && !found:
		return policies.Request{}, fmt.Errorf("nothing to update: give the object as it was with --old, or with --state")
	case operation == engine.Update:
		if document, err = WithAllocated(document, old); err != nil {
			return policies.Request{}, err
		}
	case operation == engine.Delete && found:
		document = old
	case operation == engine.Delete:
		s.state.Put(document)
	case operation == engine.Create:
		if document, err = WithDefaultClass(document, s.state); err != nil {
			return policies.Request{}, err
		}
	}
	return policies.Compose(operation, document, old)
}

// settle makes the request's outcome part of the state.
func (s *session) settle(sub subject) {
	if sub.request.Operation == engine.Delete {
		id := identityOf(sub.request.OldObject)
		s.state.Delete(id.kind, id.namespace, id.name)
		return
	}
	s.state.Put(sub.request.Object)
}

func identityOf(document engine.Document) identity {
	gv, _ := schema.ParseGroupVersion(document.Get("apiVersion").Text()) // a bad one is no known kind
	metadata := document.Get("metadata")
	return identity{
		kind:      schema.GroupKind{Group: gv.Group, Kind: document.Get("kind").Text()},
		namespace: metadata.Get("namespace").Text(), name: metadata.Get("name").Text(),
	}
}

func groupKind(object *manifest.Object) schema.GroupKind {
	gv, err := schema.ParseGroupVersion(object.APIVersion)
	if err != nil {
		gv.Group = object.APIVersion
	}
	return schema.GroupKind{Group: gv.Group, Kind: object.Kind}
}
