package profile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const (
	policyKind    = "GatePolicy"
	exceptionKind = "GateException"
)

// subject is what an error is about.
type subject struct{ kind, name string }

// place is where a policy was read. The zero object is a policy that nobody wrote, for a loose rule.
type place struct {
	file   string
	object *manifest.Object
	text   []byte // of the file
}

// reading is what was read so far, and what was wrong with it.
type reading struct {
	policies   []v1alpha1.GatePolicy
	exceptions []v1alpha1.GateException
	places     map[subject]place
	rules      RegoFiles
	files      int             // how many were read that say something
	read       map[string]bool // by their absolute paths
	problems   Problems
}

func newReading() *reading {
	return &reading{places: map[subject]place{}, rules: RegoFiles{}, read: map[string]bool{}}
}

func (r *reading) fail(file, message string) {
	r.problems = append(r.problems, manifest.Problem{File: file, Message: message})
}

func (r *reading) sortProblems() {
	slices.SortStableFunc(r.problems, compareProblems)
}

// path reads a file or a folder. One that holds nothing is a problem: what should have written it has failed.
func (r *reading) path(path string) {
	info, err := os.Stat(path)
	if err != nil {
		_, problems := manifest.Paths([]string{path}, nil) // says why, as for any other file
		r.problems = append(r.problems, problems...)
		return
	}
	path = filepath.Clean(path)
	before := r.files + len(r.problems)
	switch {
	case info.IsDir():
		r.folder(path)
	case filepath.Ext(path) == ".rego":
		r.files++
		if err := r.rules.addFile(path); err != nil {
			r.fail(path, "can't be read: "+err.Error())
		}
	default:
		r.manifests(path)
	}
	if r.files+len(r.problems) == before {
		r.fail(path, fmt.Sprintf("there is no %s, %s or rule in it", policyKind, exceptionKind))
	}
}

// folder reads everything below it, hidden files and folders aside.
func (r *reading) folder(path string) {
	modules, err := r.rules.addFolder(path)
	if err != nil {
		r.fail(path, err.Error())
		return
	}
	r.files += modules
	sources, problems := manifest.Paths([]string{path}, nil)
	if len(sources) == 0 && modules > 0 {
		return // only rules
	}
	if len(sources) == 0 && len(problems) == 1 {
		problems[0].Message = "no .rego, .yaml, .yml or .json file in this directory"
	}
	r.problems = append(r.problems, problems...)
	for _, source := range sources {
		r.manifest(source)
	}
}

func (r *reading) manifests(path string) {
	sources, problems := manifest.Paths([]string{path}, nil)
	r.problems = append(r.problems, problems...)
	for _, source := range sources {
		r.manifest(source)
	}
}

// manifest reads a stream of GatePolicies and GateExceptions, once. Whatever else is in it is a problem: it may be
// a policy whose kind was misspelt.
func (r *reading) manifest(source manifest.Source) {
	path := absolutePath(source.Name)
	if r.read[path] {
		r.files++
		return
	}
	r.read[path] = true
	file := manifest.Read(source.Name, source.Data)
	r.problems = append(r.problems, file.Problems...)
	if documents, _ := manifest.Documents(source.Name, source.Data); len(documents) > 0 {
		r.files++ // as a List without items does
	}
	for _, s := range file.Skipped {
		r.problems = append(r.problems, manifest.Problem{File: s.File, Line: s.Line, Column: s.Column, Message: expectation(s.Reason)})
	}
	for _, object := range file.Objects {
		at := place{file: source.Name, object: object, text: source.Data}
		known := object.APIVersion == v1alpha1.GroupVersion().String()
		switch {
		case known && object.Kind == policyKind:
			r.policy(at)
		case known && object.Kind == exceptionKind:
			r.exception(at)
		case !strings.HasPrefix(object.APIVersion, "kustomize.config.k8s.io/"):
			r.problems = append(r.problems, object.Problem("kind", expectation(object.APIVersion+" "+object.Kind)))
		}
	}
}

func expectation(found string) string {
	return fmt.Sprintf("expected a %s or %s of %s, found %s", policyKind, exceptionKind, v1alpha1.GroupVersion(), found)
}

func (r *reading) policy(at place) {
	var policy v1alpha1.GatePolicy
	if problems := manifest.DecodeInto(at.object, &policy); len(problems) > 0 {
		r.problems = append(r.problems, problems...)
		return
	}
	if r.add(subject{policyKind, policy.Name}, at) {
		r.policies = append(r.policies, policy)
	}
}

func (r *reading) exception(at place) {
	var exception v1alpha1.GateException
	if problems := manifest.DecodeInto(at.object, &exception); len(problems) > 0 {
		r.problems = append(r.problems, problems...)
		return
	}
	if r.add(subject{exceptionKind, exception.Name}, at) {
		r.exceptions = append(r.exceptions, exception)
	}
}

// add notes where something is; two of one name are a problem.
func (r *reading) add(s subject, at place) bool {
	if other, taken := r.places[s]; taken {
		line, column := other.object.Position("metadata.name")
		r.problems = append(r.problems, at.object.Problem("metadata.name",
			fmt.Sprintf("the %s %q is already in %s:%d:%d", s.kind, s.name, other.file, line, column)))
		return false
	}
	r.places[s] = at
	return true
}
