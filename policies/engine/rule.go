package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-gate/sluice/policies/spelling"
)

// Verb is one of the four things that a rule can state.
type Verb string

// The verbs. Each is a partial set in the rule's package.
const (
	Deny     Verb = "deny"
	Warn     Verb = "warn"
	Patch    Verb = "patch"
	Generate Verb = "generate"
)

func verbs() []Verb { return []Verb{Deny, Warn, Patch, Generate} }

// Rule is a checked Rego module with its METADATA. It is immutable.
type Rule struct {
	Metadata
	// File is where the rule was read from, below the folder given to Load.
	File  string
	Verbs []Verb
	// ReadsNamespace tells that the rule reads input.namespace, so that the Namespace object is worth
	// fetching.
	ReadsNamespace bool
	// Reserves is what the rule asks about that of two requests at the same moment only one may get.
	Reserves []Reserved

	module     *ast.Module
	libs       map[string]*ast.Module // by file: those that it reaches, and its own
	ownLibs    bool                   // some of libs are the rule's own, which no other rule may see
	texts      map[string]string      // of module and libs, by file
	judged     []judgedPath           // nil: whatever a person writes
	parameters parameters
}

// Reserved is what a function asks about that another request may take before the one that is judged is stored.
type Reserved string

// What can be reserved.
const (
	ReservedHosts     Reserved = "hosts"     // of an Ingress
	ReservedIsolation Reserved = "isolation" // of the pods of a namespace
)

// States tells whether the rule has a part for the verb.
func (r *Rule) States(v Verb) bool { return slices.Contains(r.Verbs, v) }

// Source is the text of the rule's module as the parser read it, formatted by `opa fmt`.
func (r *Rule) Source() string { return r.module.String() }

// statedVerbs finds the verbs of a module. A verb that is no partial set, and a name that is nearly a
// verb, are errors: the rule would be silent.
func statedVerbs(module *ast.Module) ([]Verb, []error) {
	var stated []Verb
	var errs []error
	for _, rule := range module.Rules {
		name := rule.Head.Ref()[0].String()
		partial := rule.Head.RuleKind() == ast.MultiValue && len(rule.Head.Ref()) == 1
		switch near := nearestVerb(name); {
		case slices.Contains(verbs(), Verb(name)) && !partial:
			errs = append(errs, fault(rule.Location, "%s must be a set of results: write `%s contains finding if { … }`", name, name))
		case slices.Contains(verbs(), Verb(name)):
			if !slices.Contains(stated, Verb(name)) {
				stated = append(stated, Verb(name))
			}
		case near != "" && partial:
			errs = append(errs, fault(rule.Location, "%s is no verb; did you mean %s?", name, near))
		}
	}
	if len(stated) == 0 && len(errs) == 0 {
		errs = append(errs, fault(module.Package.Location, "the rule states none of deny, warn, patch, generate, so it can have no effect"))
	}
	slices.SortFunc(stated, func(a, b Verb) int { return slices.Index(verbs(), a) - slices.Index(verbs(), b) })
	return stated, errs
}

func nearestVerb(name string) Verb {
	var names []string
	for _, verb := range verbs() {
		names = append(names, string(verb))
	}
	return Verb(spelling.Nearest(name, names))
}
