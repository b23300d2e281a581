package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// unitSize bounds a unit: what a change to one policy compiles again. A policy takes about a millisecond. A profile
// is one unit, so that a review of it is one query.
const unitSize = 64

// unit is policies that are compiled together and can be asked in one query. Its policies never change, so that
// programs share it.
type unit struct {
	policies []Policy
	compiler *ast.Compiler
	screen   *screen

	mu    sync.RWMutex
	plans map[planKey]*plan
	joint int // plans of several policies
}

// evaluationBuiltins are the functions that rules call beside OPA's own. They are never changed.
var evaluationBuiltins = sync.OnceValue(func() map[string]*topdown.Builtin {
	all := boundedBuiltins()
	for name, f := range factBuiltins() {
		all[name] = f
	}
	return all
})

// allot divides policies among units: those of previous that are as they were, and groups of policies to compile.
// A change compiles its own unit again, and if they are to be compact, small units that fit in beside it: no two units
// could be one, so that there are at most twice as many as there must be.
func allot(policies []Policy, indexes map[string]int, previous *Program, compact bool) (kept []*unit, changed [][]Policy) {
	compiled := make([]bool, len(policies))
	if previous != nil {
		for _, u := range previous.units {
			if u.current(policies, indexes) {
				kept = append(kept, u)
				for _, policy := range u.policies {
					compiled[indexes[policy.Name]] = true
				}
			}
		}
	}
	var pending []Policy
	for i, policy := range policies {
		if !compiled[i] {
			pending = append(pending, policy)
		}
	}
	if len(pending) == 0 {
		return kept, nil
	}
	slices.SortStableFunc(kept, func(a, b *unit) int { return len(a.policies) - len(b.policies) })
	for compact && len(kept) > 0 && len(pending)%unitSize != 0 && len(pending)%unitSize+len(kept[0].policies) <= unitSize {
		pending = append(pending, kept[0].policies...)
		kept = kept[1:]
	}
	// What is asked together should stand together.
	slices.SortStableFunc(pending, func(a, b Policy) int { return cmp.Compare(firstKind(a), firstKind(b)) })
	return kept, slices.Collect(slices.Chunk(pending, unitSize))
}

func firstKind(p Policy) string {
	if p.Rule == nil || len(p.Rule.Kinds) == 0 {
		return ""
	}
	return FormatGroupKind(p.Rule.Kinds[0])
}

// current tells whether all of the unit's policies are among policies as they were.
func (u *unit) current(policies []Policy, indexes map[string]int) bool {
	for _, was := range u.policies {
		i, there := indexes[was.Name]
		if !there || policies[i].Rule != was.Rule || !reflect.DeepEqual(policies[i].Parameters, was.Parameters) {
			return false
		}
	}
	return true
}

// compileUnits compiles policies into one unit. Where that fails the halves are tried apart, down to the policy that is
// to blame: its error is a *PolicyError, and the others are in units.
func compileUnits(policies []Policy) ([]*unit, []error) {
	u, err := compileUnit(policies)
	switch {
	case err == nil:
		return []*unit{u}, nil
	case len(policies) == 1:
		return nil, []error{&PolicyError{policies[0].Name, err}}
	}
	units, errs := compileUnits(policies[:len(policies)/2])
	more, moreErrs := compileUnits(policies[len(policies)/2:])
	return append(units, more...), append(errs, moreErrs...)
}

func compileUnit(policies []Policy) (u *unit, err error) {
	defer func() {
		if caught := recover(); caught != nil { // rules are anybody's, and must not stop others
			u, err = nil, fmt.Errorf("panic in compilation: %v", caught)
		}
	}()
	bindings, modules, err := bindAll(policies)
	if err != nil {
		return nil, err
	}
	u = &unit{policies: policies, plans: map[planKey]*plan{}}
	u.compiler = newCompiler(func(c *ast.Compiler) {
		for _, bound := range bindings {
			bound.references(c.Modules)
		}
	}).WithSkipStages(ast.StageCheckTypes) // checked rule by rule against their own kinds' schemas
	u.compiler.Compile(modules)
	if u.compiler.Failed() {
		err := distinct(compileFaults(u.compiler.Errors)...)
		for _, policy := range policies {
			err = withSource(err, policy.Rule.texts)
		}
		return nil, err
	}
	bindBounded(u.compiler.Modules)
	u.screen = newScreen(u)
	return u, nil
}

// bindAll are the modules of a unit: each policy's own, and the libs that they share.
func bindAll(policies []Policy) ([]binding, map[string]*ast.Module, error) {
	modules, shared := map[string]*ast.Module{}, map[string]*ast.Module{}
	bindings := make([]binding, 0, len(policies))
	for i, policy := range policies {
		if policy.Rule == nil || policy.Rule.module == nil {
			return nil, nil, errors.New("the rule was not checked")
		}
		bound, err := bind(fmt.Sprintf("policy/%d", i), policy)
		if err != nil {
			return nil, nil, err
		}
		bindings = append(bindings, bound)
		maps.Copy(modules, bound.modules)
		if policy.Rule.ownLibs {
			continue
		}
		for file, lib := range policy.Rule.libs {
			other, there := shared[file]
			if there && other != lib {
				return nil, nil, fmt.Errorf("two rules have different libs in %s", file) // of two libraries: not for one unit
			}
			if !there {
				shared[file], modules["lib/"+file] = lib, lib.Copy()
			}
		}
	}
	return bindings, modules, nil
}
