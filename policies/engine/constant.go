package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// ConstantPatches are the operations of a policy's patch rule whose path and value don't depend on the object: they are
// written in the rule, or come from the policy's parameters. Whenever the rule patches, it may be one of these.
func (p *Program) ConstantPatches(policy int) []Operation6902 {
	rule := p.policies[policy].Rule
	complete, err := rule.CompleteParameters(p.policies[policy].Parameters)
	if err != nil {
		return nil
	}
	parameters, err := FromGo(complete)
	if err != nil {
		return nil
	}
	var out []Operation6902
	for _, r := range rule.module.Rules {
		if r.Head.Ref()[0].String() != string(Patch) || r.Head.Key == nil {
			continue
		}
		object, ok := r.Head.Key.Value.(ast.Object)
		if !ok {
			continue
		}
		if op, ok := constantOperation(object, parameters); ok {
			out = append(out, op)
		}
	}
	return out
}

func constantOperation(object ast.Object, parameters Document) (Operation6902, bool) {
	constant := ast.NewObject()
	ground := true
	object.Foreach(func(key, value *ast.Term) {
		if ref, ok := value.Value.(ast.Ref); ok {
			value = parameterValue(ref, parameters)
		}
		if value == nil || !key.IsGround() || !ast.IsConstant(value.Value) {
			ground = false
			return
		}
		constant.Insert(key, value)
	})
	if !ground {
		return Operation6902{}, false
	}
	op, err := patchOperation(Document{constant})
	return op, err == nil
}

// parameterValue resolves a reference to input.parameters; nil for any other.
func parameterValue(ref ast.Ref, parameters Document) *ast.Term {
	root := ast.InputRootRef.Append(ast.StringTerm("parameters"))
	if !ref.HasPrefix(root) {
		return nil
	}
	at := parameters
	for _, part := range ref[len(root):] {
		key, ok := part.Value.(ast.String)
		if !ok {
			return nil
		}
		at = at.Get(string(key))
	}
	if !at.Exists() {
		return nil
	}
	return ast.NewTerm(at.value)
}
