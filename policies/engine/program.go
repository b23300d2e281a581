package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Policy is a rule with parameters under a name of its own.
type Policy struct {
	Name       string
	Rule       *Rule
	Parameters map[string]any
}

// Program is an immutable set of compiled policies. Each stands in a package of its own with its
// parameters bound, so that policies never see each other, whatever their modules are called.
type Program struct {
	policies []Policy
	compiler *ast.Compiler
	bounded  map[string]*topdown.Builtin
	budget   Budget

	mu    sync.RWMutex
	plans map[planKey]*plan
	joint int // plans of several policies
}

// A PolicyError is a policy that can't be part of a program.
type PolicyError struct {
	Policy string
	Err    error
}

// Error implements error.
func (e *PolicyError) Error() string { return fmt.Sprintf("policy %q: %v", e.Policy, e.Err) }

// Unwrap implements errors.Unwrap.
func (e *PolicyError) Unwrap() error { return e.Err }

// Compile builds a program. The error joins a *PolicyError for every policy that is refused.
func Compile(policies []Policy, budget Budget) (*Program, error) {
	p := &Program{policies: policies, budget: budget, bounded: boundedBuiltins(), plans: map[planKey]*plan{}}
	for name, f := range factBuiltins() {
		p.bounded[name] = f
	}
	modules := map[string]*ast.Module{}
	bindings := map[string]binding{}
	var errs []error
	for i, policy := range policies {
		bound, err := bind(policy)
		if err != nil {
			errs = append(errs, &PolicyError{policy.Name, err})
			continue
		}
		key := fmt.Sprintf("policy/%d", i)
		modules[key], bindings[key] = bound.module, bound
		for file, lib := range policy.Rule.libs {
			if _, there := modules["lib/"+file]; !there {
				modules["lib/"+file] = lib.Copy()
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.compiler = ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).
		WithSkipStages(ast.StageCheckTypes). // checked rule by rule against their own kinds' schemas
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceBind", MetricName: "sluice_bind",
			Stage: func(c *ast.Compiler) *ast.Error { bindReferences(c.Modules, bindings); return nil }})
	p.compiler.Compile(modules)
	if p.compiler.Failed() {
		return nil, fmt.Errorf("compile policies: %w", errors.Join(compileFaults(p.compiler.Errors)...))
	}
	bindBounded(p.compiler.Modules)
	return p, nil
}

// Policies are the program's policies, in the order in which Compile got them.
func (p *Program) Policies() []Policy { return p.policies }

// CompleteParameters checks parameters against the rule's schema and fills in defaults. The error names the
// path of each value that is refused.
func (r *Rule) CompleteParameters(given map[string]any) (map[string]any, error) {
	return r.parameters.complete(given)
}

// binding is a policy's copy of its rule's module.
type binding struct {
	module     *ast.Module
	rulePkg    ast.Ref // as the author wrote it
	policyPkg  ast.Ref
	parameters ast.Ref // of the rule that holds the parameters
}

// parametersRule holds a policy's parameters in its package. No author can write the name: it is no
// identifier.
const parametersRule = "$parameters"

func bind(policy Policy) (binding, error) {
	complete, err := policy.Rule.CompleteParameters(policy.Parameters)
	if err != nil {
		return binding{}, err
	}
	value, err := FromGo(complete)
	if err != nil {
		return binding{}, err
	}
	b := binding{module: policy.Rule.module.Copy(), rulePkg: policy.Rule.module.Package.Path}
	b.policyPkg = ast.Ref{ast.DefaultRootDocument, ast.StringTerm("gate"), ast.StringTerm(policy.Name)}
	b.parameters = b.policyPkg.Append(ast.StringTerm(parametersRule))
	b.module.Package.Path = b.policyPkg
	b.module.Annotations = nil
	where := b.module.Package.Location
	name := ast.Ref{ast.VarTerm(parametersRule)}
	head := &ast.Head{Name: ast.Var(parametersRule), Reference: name, Value: ast.NewTerm(value.value), Assign: true, Location: where}
	rule := &ast.Rule{Head: head, Module: b.module, Location: where,
		Body: ast.NewBody(ast.NewExpr(ast.BooleanTerm(true).SetLocation(where)))}
	b.module.Rules = append(b.module.Rules, rule)
	return b, nil
}

// bindReferences points what a module says of its own package, and of input.parameters, at the policy's.
func bindReferences(modules map[string]*ast.Module, bindings map[string]binding) {
	parameters := ast.InputRootRef.Append(ast.StringTerm("parameters"))
	for key, b := range bindings {
		rename := func(from, to ast.Ref) func(ast.Ref) (ast.Ref, bool) {
			return func(ref ast.Ref) (ast.Ref, bool) {
				if !ref.HasPrefix(from) {
					return ref, false
				}
				return append(append(make(ast.Ref, 0, len(to)+len(ref)-len(from)), to...), ref[len(from):]...), true
			}
		}
		toParameters, toPackage := rename(parameters, b.parameters), rename(b.rulePkg, b.policyPkg)
		_, _ = ast.TransformRefs(modules[key], func(ref ast.Ref) (ast.Value, error) {
			if changed, ok := toParameters(ref); ok {
				return changed, nil
			}
			changed, _ := toPackage(ref)
			return changed, nil
		})
	}
}

// noData is the evaluator's store: rules read the request, and ask for other objects by function.
type noData struct {
	storage.PolicyNotSupported
	storage.TriggersNotSupported
	storage.WritesNotSupported
}

func (noData) NewTransaction(context.Context, ...storage.TransactionParams) (storage.Transaction, error) {
	return nil, nil
}

func (noData) Read(context.Context, storage.Transaction, storage.Path) (any, error) {
	return nil, &storage.Error{Code: storage.NotFoundErr, Message: "there is no data"}
}

func (noData) Commit(context.Context, storage.Transaction) error { return nil }
func (noData) Abort(context.Context, storage.Transaction)        {}
func (noData) Truncate(context.Context, storage.Transaction, storage.TransactionParams, storage.Iterator) error {
	return nil
}
