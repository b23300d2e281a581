package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	kinds "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// references is what a rule reads, as its resolved names show.
type references struct {
	namespace   bool              // input.namespace
	annotations []string          // whose change the rule judges
	asked       []kinds.GroupKind // that facts look up in the state
	reserves    []Reserved        // see Rule.Reserves
}

var (
	libRef     = ast.MustParseRef("data.sluice.lib")
	testLibRef = ast.MustParseRef("data.sluice.lib.testing")
)

// references walks the rule after names are resolved, and the libs that it reaches. The errors are what a
// rule or a lib must not read.
func (r *Rule) references(modules map[string]*ast.Module) (references, []error) {
	var found references
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		if file == ruleFile {
			errs = append(errs, r.checkRefs(module)...)
		} else {
			errs = append(errs, libRefs(module)...)
		}
		errs = append(errs, unnamed(module, modules)...)
	}
	errs = append(errs, r.unjudged(modules[ruleFile])...)
	errs = append(errs, mocks(modules[ruleFile])...)
	for _, module := range append(slices.Collect(maps.Values(reach(modules, modules[ruleFile]))), modules[ruleFile]) {
		found.annotations = append(found.annotations, annotationNames(module)...)
		found.reserves = append(found.reserves, reservations(module)...)
		asked, faults := r.questions(module)
		found.asked, errs = append(found.asked, asked...), append(errs, faults...)
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			found.namespace = found.namespace || ref.HasPrefix(ast.InputRootRef) && refKey(ref, 1) == "namespace"
			return false
		})
	}
	slices.Sort(found.annotations)
	found.annotations = slices.Compact(found.annotations)
	return found, errs
}

func (r *Rule) checkRefs(module *ast.Module) []error {
	var errs []error
	own := r.module.Package.Path
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		switch {
		case ref.HasPrefix(ast.InputRootRef):
			if err := checkInput(ref); err != nil {
				errs = append(errs, err)
			}
		case ref.HasPrefix(ast.DefaultRootRef) && !ref.HasPrefix(own) && !ref.HasPrefix(libRef):
			errs = append(errs, fault(ref[0].Location, "%s: a rule may read its own package and data.sluice.lib only; ask for other objects with sluice.state", ref))
		}
		return false
	})
	return errs
}

func refKey(ref ast.Ref, i int) string {
	if len(ref) <= i {
		return ""
	}
	key, _ := ref[i].Value.(ast.String)
	return string(key)
}

// checkInput keeps parameters, which are bound to each policy when it is compiled, visible to the
// compiler: they must be named.
func checkInput(ref ast.Ref) error {
	switch key := refKey(ref, 1); {
	case key == "request" || key == "namespace" || key == "parameters" || key == "leaves":
		return nil
	}
	return fault(ref[0].Location, "%s: read input.request, input.namespace, input.parameters or input.leaves by name", ref)
}

// annotationNames are the string literals that can be names of annotations, the annotations that are read by
// name, and those that the called facts read.
func annotationNames(module *ast.Module) []string {
	var names []string
	ast.WalkTerms(module, func(term *ast.Term) bool {
		if s, ok := term.Value.(ast.String); ok && strings.Contains(string(s), "/") && len(validation.IsQualifiedName(string(s))) == 0 {
			names = append(names, string(s))
		}
		return false
	})
	walkFields(module, func(field ast.Ref, _ *ast.Location) {
		if name := refKey(field, 5); name != "" && refKey(field, 3) == "metadata" && refKey(field, 4) == "annotations" {
			names = append(names, name)
		}
	})
	walkCalls(module, func(operator string, _ []*ast.Term, _ *ast.Location) {
		for _, f := range factFunctions() {
			if operator == f.name {
				names = append(names, f.reads...)
			}
		}
	})
	return names
}

// questions are the kinds that a module's calls ask the state about. Those of sluice.state have to be written
// out and stand in the rule's METADATA, because only such kinds are watched.
func (r *Rule) questions(module *ast.Module) ([]kinds.GroupKind, []error) {
	var asked []kinds.GroupKind
	var errs []error
	walkCalls(module, func(operator string, args []*ast.Term, at *ast.Location) {
		for _, f := range factFunctions() {
			if operator == f.name {
				asked = append(asked, f.asks...)
			}
		}
		if !strings.HasPrefix(operator, "sluice.state.") || len(args) == 0 {
			return
		}
		literal, ok := args[0].Value.(ast.String)
		kind, err := ParseGroupKind(string(literal))
		switch {
		case !ok:
			errs = append(errs, fault(at, "%s: write the kind as a string, such as \"Service\"", operator))
		case err != nil:
			errs = append(errs, fault(at, "%s: %v", operator, err))
		case !slices.Contains(r.State, kind):
			errs = append(errs, fault(at, "%s: name %s under custom.state in the rule's METADATA, so that it is watched", operator, string(literal)))
		}
	})
	return asked, errs
}

// reservations are what a module asks about that another request may change before this one is stored.
func reservations(module *ast.Module) []Reserved {
	var found []Reserved
	walkCalls(module, func(operator string, _ []*ast.Term, _ *ast.Location) {
		for _, f := range factFunctions() {
			if operator == f.name && f.reserves != "" {
				found = append(found, f.reserves)
			}
		}
	})
	return found
}

// unjudged refuses a rule that reads more of an object than the ratchet compares by default: an update that
// changes only that would never be refused.
func (r *Rule) unjudged(module *ast.Module) []error {
	ratcheted := r.States(Deny) && !r.NeverRatchets || r.States(Patch)
	if r.Judges != nil || !slices.Contains(r.Operations, Update) || !ratcheted {
		return nil
	}
	var errs []error
	walkFields(module, func(field ast.Ref, at *ast.Location) {
		if readsBeyondDefault(field) {
			errs = append(errs, fault(at, "%s: an update that changes only this would not be judged: "+
				"name what the rule reads under custom.judges in METADATA, such as [spec, metadata.labels]", field))
		}
	})
	return errs
}

// readsBeyondDefault tells whether a reference reaches parts of the object other than spec, an annotation
// by name, and what an update can't change.
func readsBeyondDefault(ref ast.Ref) bool {
	if !ref.HasPrefix(ast.InputRootRef) || refKey(ref, 1) != "request" {
		return false
	}
	if whose := refKey(ref, 2); len(ref) > 2 && whose != "" && whose != "object" && whose != "oldObject" {
		return false
	}
	switch refKey(ref, 3) {
	case "spec", "kind", "apiVersion":
		return false
	case "metadata":
		switch refKey(ref, 4) {
		case "name", "namespace", "generateName", "uid", "creationTimestamp", "deletionTimestamp":
			return false
		case "annotations":
			return refKey(ref, 5) == ""
		}
	}
	return true
}

// mocks refuses what belongs in tests: calls are bound when a policy is compiled, and `with` would replace
// something else.
func mocks(module *ast.Module) []error {
	var errs []error
	ast.WalkWiths(module, func(w *ast.With) bool {
		target, ok := w.Target.Value.(ast.Ref)
		if !ok || !target.HasPrefix(ast.InputRootRef) || refKey(target, 1) == "parameters" {
			errs = append(errs, fault(w.Location, "with %s: a rule may replace parts of input.request only; replacing functions and data is for tests", w.Target))
		}
		return false
	})
	return errs
}

// walkCalls visits every call of a built-in function or rule, in expressions and inside of terms.
func walkCalls(module *ast.Module, visit func(operator string, args []*ast.Term, at *ast.Location)) {
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok && len(terms) > 0 {
				visit(fmt.Sprint(terms[0].Value), terms[1:], x.Location)
			}
		case *ast.Term:
			if call, ok := x.Value.(ast.Call); ok && len(call) > 0 {
				visit(fmt.Sprint(call[0].Value), call[1:], x.Location)
			}
		}
		return false
	})
	visitor.Walk(module)
}

func sortedKinds(all []kinds.GroupKind) []kinds.GroupKind {
	slices.SortFunc(all, func(a, b kinds.GroupKind) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind))
	})
	return slices.Compact(all)
}
