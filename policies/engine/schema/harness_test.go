package schema_test

import (
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	metaschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

var (
	ingress       = metaschema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	networkPolicy = metaschema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
	service       = metaschema.GroupKind{Kind: "Service"}
	namespace     = metaschema.GroupKind{Kind: "Namespace"}
	pod           = metaschema.GroupKind{Kind: "Pod"}
	deployment    = metaschema.GroupKind{Group: "apps", Kind: "Deployment"}
	cronJob       = metaschema.GroupKind{Group: "batch", Kind: "CronJob"}
	gateway       = metaschema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "Gateway"}
)

// compile type-checks one rule whose body is given, the way the engine does: a compiler per rule,
// with the rule's input as the root schema and no annotations in the module.
func compile(t testing.TB, kinds []metaschema.GroupKind, parameters any, body string) error {
	t.Helper()
	input, err := load(t).Input(kinds, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return compileWith(t, input, body)
}

func compileWith(t testing.TB, input any, body string) error {
	t.Helper()
	text := "package sluice.test\n\ndeny contains \"no\" if {\n\t" + body + "\n}\n" +
		"selects_all({}) := true\n" +
		"spec := input.request.object.spec\n" +
		"selector(peer) := peer.podSelector\n"
	module, err := ast.ParseModule("rule.rego", text)
	if err != nil {
		t.Fatal(err)
	}
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, input)
	compiler := ast.NewCompiler().SetErrorLimit(0).WithStrict(true).WithSchemas(set)
	compiler.Compile(map[string]*ast.Module{"rule.rego": module})
	if errs := schema.Genuine(compiler.Errors); len(errs) > 0 {
		return errs
	}
	return nil
}

func kindsOf(kinds ...metaschema.GroupKind) []metaschema.GroupKind { return kinds }

// invalidRef returns the detail of the one error in err.
func invalidRef(t *testing.T, err error) *ast.RefErrInvalidDetail {
	t.Helper()
	var errs ast.Errors
	if !errors.As(err, &errs) || len(errs) != 1 {
		t.Fatalf("want one compile error, got: %v", err)
	}
	detail, ok := errs[0].Details.(*ast.RefErrInvalidDetail)
	if !ok {
		t.Fatalf("detail is a %T: %v", errs[0].Details, err)
	}
	return detail
}

func offers(detail *ast.RefErrInvalidDetail, field string) bool {
	for _, value := range detail.OneOf {
		if value.Compare(ast.String(field)) == 0 {
			return true
		}
	}
	return false
}
