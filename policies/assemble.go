package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// The kinds of what can be rejected.
const (
	PolicyKind    = "GatePolicy"
	ExceptionKind = "GateException"
)

// Rejected is a policy or an exception that a gate could not take as it is. It is an error.
type Rejected struct {
	Kind string // PolicyKind or ExceptionKind
	Name string
	Err  error
	// InForce tells that it counts all the same: an exception that names unknown policies beside known ones excuses
	// from the known ones.
	InForce bool
}

// Error implements error.
func (r Rejected) Error() string {
	if r.Kind == ExceptionKind {
		return fmt.Sprintf("exception %q: %v", r.Name, r.Err)
	}
	return fmt.Sprintf("policy %q: %v", r.Name, r.Err)
}

// Unwrap implements errors.Unwrap.
func (r Rejected) Unwrap() error { return r.Err }

// Assemble makes a gate of all that is good, for policies that are stored already: one bad policy stops no other. A
// rejected policy fails closed: requests that it matches are answered by its failure, with the effect of its action.
// It matches the kinds of its match, as far as they are valid, else those of its rule's METADATA, as far as that can be
// read, and nothing if neither says; what else in its match is invalid is left out, so that it matches more
// rather than less. A rejected exception excuses nothing, unless it is InForce. Rejected come sorted by kind, policies
// first, and name. Without a Library every policy is rejected.
//
// Who has a last good version of a bad policy gives that instead.
func Assemble(o Options) (*Gate, []Rejected) {
	g := &Gate{
		byKind: map[schema.GroupKind][]int{}, library: o.Library, state: o.State, namespaces: o.Namespaces, claims: o.Claims, now: o.Now,
		isolation: o.Isolation, live: o.Live, self: o.Self, breakGlass: o.BreakGlass,
		exemptNamespaces: append(SystemNamespaces(), o.ExemptNamespaces...),
	}
	if g.live == nil {
		g.live = o.Namespaces
	}
	if g.now == nil {
		g.now = time.Now
	}
	if o.Budget == (engine.Budget{}) {
		o.Budget = engine.DefaultBudget()
	}
	good, bad, rejected := newPolicies(o)
	var unfit []Rejected
	g.program, good, bad, unfit = compile(o, good, bad)
	rejected = append(rejected, unfit...)
	slices.SortStableFunc(rejected, func(a, b Rejected) int { return cmp.Compare(a.Name, b.Name) })
	g.policies = append(good, bad...)
	names := map[string]bool{}
	for i := range g.policies {
		p := &g.policies[i]
		names[p.name] = true
		if p.err == nil {
			p.verbs = slices.DeleteFunc(slices.Clone(p.rule.Verbs), func(verb engine.Verb) bool { return !g.program.MaySay(i, verb) })
		}
		if p.isSilent() {
			continue
		}
		for _, kind := range p.match.asked() {
			g.byKind[kind] = append(g.byKind[kind], i)
		}
	}
	g.exceptions, unfit = newExceptions(o.Exceptions, names, g.now())
	return g, append(rejected, unfit...)
}

// newPolicies checks policies one by one. The good ones come sorted by name.
func newPolicies(o Options) (good, bad []policy, rejected []Rejected) {
	sorted := slices.Clone(o.Policies)
	slices.SortStableFunc(sorted, func(a, b v1alpha1.GatePolicy) int { return cmp.Compare(a.Name, b.Name) })
	was := o.Previous.compiled(o.Library)
	for i := range sorted {
		p, err := newPolicy(o, &sorted[i], was[sorted[i].Name])
		if err == nil && i > 0 && sorted[i-1].Name == p.name {
			err = errors.New("metadata.name: another policy has the same name")
		}
		if err != nil {
			rejected = append(rejected, Rejected{Kind: PolicyKind, Name: sorted[i].Name, Err: err})
			bad = append(bad, p.rejected(o.Library, err))
			continue
		}
		good = append(good, p)
	}
	return good, bad, rejected
}

// compiled are the policies that a later gate of the library can take over, by name.
func (g *Gate) compiled(library *engine.Library) map[string]*policy {
	out := map[string]*policy{}
	if g == nil || g.library != library {
		return out
	}
	for i := range g.policies {
		if p := &g.policies[i]; p.err == nil {
			out[p.name] = p
		}
	}
	return out
}

// compile makes a program of the good policies. Those that turn out to be bad only then become so.
func compile(o Options, good, bad []policy) (*engine.Program, []policy, []policy, []Rejected) {
	var rejected []Rejected
	var previous *engine.Program
	if o.Previous != nil {
		previous = o.Previous.program
	}
	build := engine.Compile
	if o.trial {
		build = engine.Try
	}
	for {
		sources := make([]engine.Policy, len(good))
		for i, p := range good {
			sources[i] = engine.Policy{Name: p.name, Rule: p.rule, Parameters: p.parameters}
		}
		program, err := build(sources, o.Budget, previous)
		if err == nil {
			return program, good, bad, rejected
		}
		blamed := blame(err)
		var rest []policy
		for _, p := range good {
			reason := blamed[p.name]
			if len(blamed) == 0 {
				reason = err // it names nobody: no policy can be trusted to be compiled
			}
			if reason == nil {
				rest = append(rest, p)
				continue
			}
			rejected = append(rejected, Rejected{Kind: PolicyKind, Name: p.name, Err: reason})
			bad = append(bad, p.rejected(o.Library, reason))
		}
		good = rest
	}
}

// blame are the errors of engine.Compile by policy.
func blame(err error) map[string]error {
	out := map[string]error{}
	var walk func(error)
	walk = func(err error) {
		var one *engine.PolicyError
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // taken apart layer by layer
			for _, inner := range joined.Unwrap() {
				walk(inner)
			}
		} else if errors.As(err, &one) {
			out[one.Policy] = one.Err
		}
	}
	walk(err)
	return out
}
