package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	kinds "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// check turns a parsed module and libs of its own into a Rule: METADATA, verbs, references, strict mode and types
// against the schemas of the kinds that it names. Only the libs that it reaches are compiled along.
func (l *Library) check(source parsed, own ...parsed) (*Rule, error) {
	module := source.module
	libs := reach(l.shadowed(own), append(modulesOf(own), module)...)
	texts := map[string]string{source.file(): source.text}
	for file := range libs {
		texts[file] = l.texts[file]
	}
	for _, lib := range own {
		libs[lib.file()], texts[lib.file()] = lib.module, lib.text
	}
	rule := &Rule{File: source.file(), module: module, libs: libs, ownLibs: len(own) > 0, texts: texts}
	return rule, withSource(l.complete(rule), texts)
}

func modulesOf(sources []parsed) []*ast.Module {
	out := make([]*ast.Module, len(sources))
	for i, source := range sources {
		out[i] = source.module
	}
	return out
}

// complete checks a rule and fills in what is known then.
func (l *Library) complete(rule *Rule) error {
	about, err := metadata(rule.module)
	stated, errs := statedVerbs(rule.module)
	if isLib(rule.module) {
		errs = append(errs, fault(rule.module.Package.Location, "package %s: below sluice.lib are libs, which no policy can switch on; name the rule's package otherwise",
			pathText(rule.module.Package.Path)))
	}
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return errors.Join(errs...)
	}
	rule.Metadata, rule.Verbs = about, stated
	if err := checkVerbKinds(rule); err != nil {
		return err
	}
	if rule.parameters, err = newParameters(rule); err != nil {
		return fault(rule.module.Package.Location, "METADATA custom.parameters: %v", err)
	}
	refs, err := rule.typeCheck(l.schemas)
	if err != nil {
		return err
	}
	rule.ReadsNamespace = refs.namespace
	rule.Reserves = refs.reserves
	rule.State = sortedKinds(append(rule.State, refs.asked...))
	return rule.setJudged(refs.annotations)
}

func checkVerbKinds(rule *Rule) error {
	at := rule.module.Package.Location
	switch {
	case rule.States(Generate) && len(rule.Generates) == 0:
		return fault(at, "METADATA custom.generates: missing: name the kinds that generate may produce")
	case !rule.States(Generate) && len(rule.Generates) > 0:
		return fault(at, "METADATA custom.generates: the rule has no generate")
	}
	for _, kind := range rule.Generates {
		if reason := ungeneratable(kind.Group, kind.Kind); reason != "" {
			return fault(at, "METADATA custom.generates: %s can't be generated: %s", FormatGroupKind(kind), reason)
		}
	}
	return nil
}

// ungeneratable names why a kind is never generated: whoever may write such an object may do
// anything, and a policy must not be a way to that.
func ungeneratable(group, kind string) string {
	switch {
	case strings.HasSuffix(group, "rbac.authorization.k8s.io"):
		return "it grants rights"
	case group == "" && (kind == "Secret" || kind == "ServiceAccount"):
		return "it holds credentials"
	case group == "apps", group == "batch", group == "" && (kind == "Pod" || kind == "ReplicationController"):
		return "it is a workload"
	case strings.HasSuffix(group, "admissionregistration.k8s.io"), group == "policy.sluice.dev":
		return "it decides what is admitted"
	}
	return ""
}

func (r *Rule) typeCheck(known *schema.Schemas) (references, error) {
	var found references
	var faults []error
	schemas := ast.NewSchemaSet()
	input, err := known.Input(r.asked(), r.parametersSchema())
	if err != nil {
		return found, fmt.Errorf("schema of %s: %w", r.ID, err)
	}
	schemas.Put(ast.SchemaRootRef, input)
	compiler := newCompiler(func(c *ast.Compiler) { found, faults = r.references(c.Modules) }).WithSchemas(schemas)
	compiler.Compile(r.copies())
	if compiler.Failed() {
		faults = append(faults, compileFaults(schema.Genuine(compiler.Errors))...)
	}
	if len(faults) == 0 {
		faults = circular(compiler.Modules)
	}
	return found, errors.Join(faults...)
}

// asked are the kinds of the objects that the rule gets.
func (r *Rule) asked() []kinds.GroupKind {
	namespace := kinds.GroupKind{Kind: "Namespace"}
	if r.Leaving && !slices.Contains(r.Kinds, namespace) {
		return append(slices.Clone(r.Kinds), namespace)
	}
	return r.Kinds
}

// ruleFile is the rule's own module among the modules of its compilation.
const ruleFile = "rule"

// copies are fresh copies of the module and its libs, for a compiler to change.
func (r *Rule) copies() map[string]*ast.Module {
	modules := map[string]*ast.Module{ruleFile: r.module.Copy()}
	for file, lib := range r.libs {
		modules["lib/"+file] = lib.Copy()
	}
	return modules
}
