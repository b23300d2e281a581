package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// check turns a parsed module into a Rule: METADATA, verbs, references, strict mode and types against
// the schemas of the kinds that it names.
func (l *Library) check(module *ast.Module) (*Rule, error) {
	about, err := metadata(module)
	stated, errs := statedVerbs(module)
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	rule := &Rule{Metadata: about, File: module.Package.Location.File, Verbs: stated, module: module, libs: l.libs}
	if err := checkVerbKinds(rule); err != nil {
		return nil, err
	}
	if _, err := newParameters(rule); err != nil {
		return nil, fault(module.Package.Location, "METADATA custom.parameters: %v", err)
	}
	refs, err := rule.typeCheck(l.schemas)
	if err != nil {
		return nil, err
	}
	rule.ReadsNamespace = refs.namespace
	return rule, rule.setJudged(refs.annotations)
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

// references are the facts about a rule that its compiled form shows.
type references struct {
	namespace   bool
	annotations []string
}

func (r *Rule) typeCheck(kinds *schema.Schemas) (references, error) {
	var found references
	var faults []error
	schemas := ast.NewSchemaSet()
	input, err := kinds.Input(r.Kinds, r.parametersSchema())
	if err != nil {
		return found, fmt.Errorf("schema of %s: %w", r.ID, err)
	}
	schemas.Put(ast.SchemaRootRef, input)
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).SetErrorLimit(0).WithSchemas(schemas).
		WithStageAfterID(ast.StageResolveRefs, ast.CompilerStageDefinition{Name: "SluiceReferences", MetricName: "sluice_references",
			Stage: func(c *ast.Compiler) *ast.Error {
				found, faults = r.references(c.Modules)
				return nil
			}})
	compiler.Compile(r.copies("rule", r.module))
	if compiler.Failed() {
		faults = append(faults, compileFaults(schema.Genuine(compiler.Errors))...)
	}
	return found, errors.Join(faults...)
}

// copies are fresh copies of the module and its libs, for a compiler to change.
func (r *Rule) copies(key string, module *ast.Module) map[string]*ast.Module {
	modules := map[string]*ast.Module{key: module.Copy()}
	for file, lib := range r.libs {
		modules[file] = lib.Copy()
	}
	return modules
}

// references walks the rule, and the libs that it reaches, after names are resolved.
func (r *Rule) references(modules map[string]*ast.Module) (references, []error) {
	var found references
	var errs []error
	own := r.module.Package.Path
	for file, module := range modules {
		isRule := file == "rule"
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			switch {
			case ref.HasPrefix(ast.InputRootRef):
				if isRule {
					found.namespace = found.namespace || refKey(ref, 1) == "namespace"
				}
				if err := checkInput(ref, isRule); err != nil {
					errs = append(errs, err)
				}
			case isRule && ref.HasPrefix(ast.DefaultRootRef) && !ref.HasPrefix(own) && !ref.HasPrefix(libRef):
				errs = append(errs, fault(ref[0].Location, "%s: a rule may read its own package and data.sluice.lib only; ask for other objects with sluice.state", ref))
			}
			return false
		})
		found.annotations = append(found.annotations, annotationNames(module)...)
	}
	slices.Sort(found.annotations)
	found.annotations = slices.Compact(found.annotations)
	return found, errs
}

var libRef = ast.MustParseRef("data.sluice.lib")

func refKey(ref ast.Ref, i int) string {
	if len(ref) <= i {
		return ""
	}
	key, _ := ref[i].Value.(ast.String)
	return string(key)
}

// checkInput keeps parameters, which are bound to each policy when it is compiled, visible to the
// compiler: they must be named.
func checkInput(ref ast.Ref, isRule bool) error {
	switch key := refKey(ref, 1); {
	case !isRule:
		return fault(ref[0].Location, "%s: a lib has no input, pass what it needs as an argument", ref)
	case key == "request" || key == "namespace" || key == "parameters":
		return nil
	}
	return fault(ref[0].Location, "%s: read input.request, input.namespace or input.parameters by name", ref)
}

// annotationNames are the string literals that can be names of annotations, and the annotations that the
// called facts read.
func annotationNames(module *ast.Module) []string {
	var names []string
	ast.WalkTerms(module, func(term *ast.Term) bool {
		switch v := term.Value.(type) {
		case ast.String:
			if strings.Contains(string(v), "/") && len(validation.IsQualifiedName(string(v))) == 0 {
				names = append(names, string(v))
			}
		case ast.Ref:
			for _, f := range factFunctions() {
				if len(f.reads) > 0 && v.String() == f.name {
					names = append(names, f.reads...)
				}
			}
		}
		return false
	})
	return names
}

// setJudged fixes the paths of the ratchet: those that METADATA names, or else spec and the
// annotations that the rule names.
func (r *Rule) setJudged(annotations []string) error {
	if r.Judges == nil {
		r.judged = append(r.judged, fieldKeys{"spec"})
		for _, name := range annotations {
			r.judged = append(r.judged, fieldKeys{"metadata", "annotations", name})
		}
		return nil
	}
	for _, path := range r.Judges {
		keys, err := parseFieldKeys(path)
		if err != nil {
			return fault(r.module.Package.Location, "METADATA custom.judges: %v", err)
		}
		r.judged = append(r.judged, keys)
	}
	return nil
}
