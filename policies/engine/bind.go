package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// binding is a policy's copy of its rule's module, and of libs that must not be shared.
type binding struct {
	key        string                 // of the rule's module
	modules    map[string]*ast.Module // by key
	rulePkg    ast.Ref                // as the author wrote it
	policyPkg  ast.Ref
	parameters ast.Ref // of the rule that holds the parameters
	libs       ast.Ref // what data.sluice.lib is for the policy
}

// parametersRule holds a policy's parameters in its package. No author can write the name: it is no
// identifier.
const parametersRule = "$parameters"

// bind makes a policy's copy, under keys that begin with key. A rule with libs of its own gets copies of all libs that it
// reaches, below a package of the policy's, so that every name that it could write means the same as when it was checked.
func bind(key string, policy Policy) (binding, error) {
	complete, err := policy.Rule.CompleteParameters(policy.Parameters)
	if err != nil {
		return binding{}, err
	}
	value, err := FromGo(complete)
	if err != nil {
		return binding{}, err
	}
	b := binding{key: key, rulePkg: policy.Rule.module.Package.Path, policyPkg: policyRoot("gate", policy.Name), libs: libRef}
	b.parameters = b.policyPkg.Append(ast.StringTerm(parametersRule))
	b.modules = map[string]*ast.Module{key: boundModule(policy.Rule.module, b.policyPkg, value)}
	if policy.Rule.ownLibs {
		b.libs = policyRoot("libs", policy.Name)
		for file, lib := range policy.Rule.libs {
			own := lib.Copy()
			own.Package.Path = replacePrefix(lib.Package.Path, libRef, b.libs)
			own.Annotations = nil
			b.modules[key+"/"+file] = own
		}
	}
	return b, nil
}

// policyRoot is a package that belongs to a policy alone. A compiler writes to all terms of its modules, so that none
// may be one of OPA's, which other compilers and evaluations read at the same time.
func policyRoot(kind, policy string) ast.Ref {
	return ast.Ref{ast.DefaultRootDocument.Copy(), ast.StringTerm(kind), ast.StringTerm(policy)}
}

// boundModule is a copy of a module in another package, with the parameters beside its rules.
func boundModule(source *ast.Module, pkg ast.Ref, parameters Document) *ast.Module {
	module := source.Copy()
	module.Package.Path = pkg
	module.Annotations = nil
	where := module.Package.Location
	head := &ast.Head{Name: ast.Var(parametersRule), Reference: ast.Ref{ast.VarTerm(parametersRule)},
		Value: ast.NewTerm(parameters.value), Assign: true, Location: where}
	module.Rules = append(module.Rules, &ast.Rule{Head: head, Module: module, Location: where,
		Body: ast.NewBody(ast.NewExpr(ast.BooleanTerm(true).SetLocation(where)))})
	return module
}

// references points what a policy's modules say of the rule's own package, of input.parameters and of
// data.sluice.lib at what belongs to the policy.
func (b binding) references(modules map[string]*ast.Module) {
	parameters := ast.InputRootRef.Append(ast.StringTerm("parameters"))
	for key := range b.modules {
		change := func(ref ast.Ref) (ast.Value, error) {
			switch {
			case ref.HasPrefix(libRef):
				return replacePrefix(ref, libRef, b.libs), nil
			case key != b.key: // a lib names nothing else
			case ref.HasPrefix(parameters):
				return replacePrefix(ref, parameters, b.parameters), nil
			case ref.HasPrefix(b.policyPkg): // a name that the compiler has resolved
			case ref.HasPrefix(b.rulePkg):
				return replacePrefix(ref, b.rulePkg, b.policyPkg), nil
			}
			return ref, nil
		}
		_, _ = ast.TransformRefs(modules[key], change)
		transformSomeDecls(modules[key], change)
	}
}

// transformSomeDecls does for what stands behind `some … in` what ast.TransformRefs leaves out.
func transformSomeDecls(node any, change func(ast.Ref) (ast.Value, error)) {
	ast.NewGenericVisitor(func(x any) bool {
		if decl, ok := x.(*ast.SomeDecl); ok {
			for _, symbol := range decl.Symbols {
				_, _ = ast.TransformRefs(symbol, change)
			}
		}
		return false
	}).Walk(node)
}

// replacePrefix is ref with another beginning in place of from.
func replacePrefix(ref, from, to ast.Ref) ast.Ref {
	return append(to.Copy(), ref[len(from):]...)
}
