package schema_test

import (
	"testing"

	metaschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine/schema"
)

// BenchmarkRule measures what the schema costs per rule: Input, and a compilation of one small
// rule with it. "without" is the same compilation without a schema.
func BenchmarkRule(b *testing.B) {
	schemas := load(b)
	cases := []struct {
		name  string
		kinds []metaschema.GroupKind
	}{
		{"without", nil},
		{"networkpolicy", kindsOf(networkPolicy)},
		{"ingress", kindsOf(ingress)},
		{"pod", kindsOf(pod)},
		{"all", schemas.Kinds()},
	}
	for _, test := range cases {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := checkOne(b, schemas, test.kinds); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func checkOne(b *testing.B, schemas *schema.Schemas, kinds []metaschema.GroupKind) error {
	var input any
	if kinds == nil {
		input = map[string]any{}
	} else {
		built, err := schemas.Input(kinds, nil)
		if err != nil {
			return err
		}
		input = built
	}
	return compileWith(b, input, `input.request.object.spec`)
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := schema.Load(); err != nil {
			b.Fatal(err)
		}
	}
}
