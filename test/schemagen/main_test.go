package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestCheckedInSchemasAreFresh fails when go.mod's Kubernetes or the generator moved on without
// `go generate`.
func TestCheckedInSchemasAreFresh(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-check"}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestCheckNamesStaleFiles(t *testing.T) {
	dir := t.TempDir()
	if err := run([]string{"-out", dir}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, kindsDir, "core_Pod.json"), "{}")
	writeFile(t, filepath.Join(dir, kindsDir, "core_Gone.json"), "{}")
	if err := os.Remove(filepath.Join(dir, "definitions.json")); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	err := run([]string{"-check", "-out", dir}, &out)
	if !errors.Is(err, errStale) {
		t.Errorf("err = %v, want %v", err, errStale)
	}
	const want = "stale: definitions.json\nstale: kinds/core_Gone.json\nstale: kinds/core_Pod.json\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}

	if err := run([]string{"-out", dir}, &out); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-check", "-out", dir}, &out); err != nil {
		t.Errorf("after writing: %v", err)
	}
}

func TestTrim(t *testing.T) {
	text := schema{"type": "string"}
	source := spec{
		"Kind": {Properties: map[string]node{
			"time":   {Ref: "#/definitions/Time"},
			"port":   {Ref: "#/definitions/IntOrString"},
			"labels": {Type: "object"},
			"hosts":  {Type: "array", Items: &node{Type: "string"}},
			"tree":   {Ref: "#/definitions/Tree"},
			"any":    {},
			"raw":    {Type: "object", PreserveAll: true},
		}},
		"Time":        {Type: "string", Format: "date-time"},
		"IntOrString": {Type: "string", Format: "int-or-string"},
		"Tree": {Properties: map[string]node{
			"child": {Ref: "#/definitions/Tree"},
			"name":  {Type: "string"},
		}},
	}
	trim := &trimmer{spec: source, definitions: map[string]schema{}}
	got, err := trim.object(source["Kind"].Properties, "")
	if err != nil {
		t.Fatal(err)
	}
	tree := schema{"$ref": "#/definitions/Tree"}
	want := schema{"type": "object", "properties": schema{
		"time":   text,
		"port":   schema{"anyOf": []any{schema{"type": "integer"}, text}},
		"labels": schema{"type": "object"},
		"hosts":  schema{"type": "array", "items": text},
		"tree":   tree,
		"any":    schema{},
		"raw":    schema{},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	definitions := map[string]schema{
		"Tree": {"type": "object", "properties": schema{"child": tree, "name": text}},
	}
	if !reflect.DeepEqual(trim.definitions, definitions) {
		t.Errorf("definitions: got %v\nwant %v", trim.definitions, definitions)
	}
}

func TestBuildRefuses(t *testing.T) {
	kind := groupVersionAndKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	define := func(property node) spec {
		return spec{"Kind": {
			Properties:   map[string]node{"spec": property},
			GroupVersion: []groupVersionAndKind{kind},
		}}
	}
	tests := map[string]struct {
		source spec
		want   string
	}{
		"unknown kind":       {spec{}, "no definition for apps/v1 Deployment"},
		"missing definition": {define(node{Ref: "#/definitions/Gone"}), `definition "Gone" is missing`},
		"allOf":              {define(node{AllOf: []json.RawMessage{json.RawMessage(`{}`)}}), "allOf"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := build(test.source, []groupVersionAndKind{kind})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want %q in it", err, test.want)
			}
		})
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
