package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// testParameters give rules under test the parameters that a policy would give them: those that the test states,
// checked by the schema in METADATA and completed by its defaults.
type testParameters struct {
	modules map[string]*ast.Module // copies; each rule with parameters has a rule that holds them
	rules   map[string]parameters  // by file
}

// parametersFunction completes parameters in tests.
const parametersFunction = "internal.sluice_parameters"

// bindTestParameters leaves modules alone. METADATA that is wrong binds nothing: Load and Lint say so.
func bindTestParameters(modules map[string]*ast.Module) testParameters {
	p := testParameters{modules: map[string]*ast.Module{}, rules: map[string]parameters{}}
	for file, module := range modules {
		p.modules[file] = module.Copy()
		if isTest(file) || packageAnnotations(module) == nil {
			continue
		}
		about, _ := metadata(module)
		if about.Parameters == nil {
			continue
		}
		schema, err := newParameters(&Rule{Metadata: about})
		if err != nil {
			continue
		}
		p.rules[file] = schema
		p.modules[file].Rules = append(p.modules[file].Rules, p.holder(file, p.modules[file]))
	}
	return p
}

// holder is the rule that holds the parameters. It stands in no file, so that no coverage is asked of it.
func (p testParameters) holder(file string, module *ast.Module) *ast.Rule {
	const given = "[p | p := input.parameters]" // none or one; never undefined
	text := fmt.Sprintf("package p\n\nholder := %s(%s, %s)\n", parametersFunction, strconv.Quote(file), given)
	holder := ast.MustParseModuleWithOpts(text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: p.capabilities()}).Rules[0]
	holder.Head.Name = parametersRule
	holder.Head.Reference = ast.Ref{ast.VarTerm(parametersRule)}
	holder.Module = module
	return holder
}

// compiler compiles modules with the parameters bound.
func (p testParameters) compiler() *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(p.capabilities()).WithStrict(true).
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceTestParameters", MetricName: "sluice_test_parameters",
			Stage: func(c *ast.Compiler) *ast.Error { p.rewrite(c.Modules); return nil }})
}

// rewrite points what rules read of input.parameters at their holders, once names are resolved.
func (p testParameters) rewrite(modules map[string]*ast.Module) {
	from := ast.InputRootRef.Append(ast.StringTerm("parameters"))
	for file := range p.rules {
		to := modules[file].Package.Path.Append(ast.StringTerm(parametersRule))
		for _, rule := range modules[file].Rules {
			if rule.Head.Name == parametersRule {
				continue
			}
			change := func(ref ast.Ref) (ast.Value, error) {
				if !ref.HasPrefix(from) {
					return ref, nil
				}
				return to.Concat(ref[len(from):]), nil
			}
			_, _ = ast.TransformRefs(rule, change)
			transformSomeDecls(rule, change)
		}
	}
}

func (p testParameters) function() function {
	return function{
		name:        parametersFunction,
		description: "The parameters of a rule as a policy would have them.",
		args:        []types.Type{types.S, types.NewArray(nil, types.A)},
		result:      types.A,
		call: func(_ topdown.BuiltinContext, args []*ast.Term) (ast.Value, error) {
			var given map[string]any
			if stated := (Document{args[1].Value}).Elements(); len(stated) > 0 {
				value, err := ast.JSON(stated[0].value)
				if err != nil {
					return nil, fmt.Errorf("input.parameters: %w", err)
				}
				object, ok := value.(map[string]any)
				if !ok && value != nil {
					return nil, fmt.Errorf("input.parameters: want an object, found %s", stated[0])
				}
				given = object
			}
			complete, err := p.rules[Document{args[0].Value}.Text()].complete(given)
			if err != nil {
				reason := strings.ReplaceAll(err.Error(), "spec.parameters", "input.parameters")
				return nil, fmt.Errorf("the test's parameters do not fit the rule's METADATA: %s", reason)
			}
			document, err := FromGo(complete)
			return document.value, err
		},
	}
}

// capabilities are those of rules, and what only tests have. print is taken out of rules that run elsewhere.
func (p testParameters) capabilities() *ast.Capabilities {
	all := *capabilities()
	all.Builtins = append(slices.Clone(all.Builtins), p.function().declaration(), ast.Print, ast.InternalPrint)
	return &all
}
