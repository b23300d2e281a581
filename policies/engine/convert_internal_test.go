package engine

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

var labels = reflect.TypeFor[map[string]string]()

// Labels are decoded as any map is.
func TestDecodeStrings(t *testing.T) {
	for _, text := range []string{`null`, `{}`, `{"a": "b", "c": ""}`, `{"a": null}`, `{"a": 1}`, `{"a": {}}`, `["a"]`, `"a"`, `3`, `{1: "a"}`} {
		value := ast.MustParseTerm(text).Value
		var said [2]string
		for i, decode := range []decoder{decodeStrings, mapDecoder(labels)} {
			target := reflect.New(labels).Elem()
			err := decode(value, target)
			said[i] = fmt.Sprintf("%#v, %v", target.Interface(), err)
		}
		if said[0] != said[1] {
			t.Errorf("%s: got %s, as any map %s", text, said[0], said[1])
		}
	}
}

func BenchmarkDecodeStrings(b *testing.B) {
	value := ast.MustParseTerm(`{"app": "web", "team": "shop"}`).Value
	for what, decode := range map[string]decoder{"labels": decodeStrings, "any map": mapDecoder(labels)} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(value, reflect.New(labels).Elem()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
