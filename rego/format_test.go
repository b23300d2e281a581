package rego_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

var update = flag.Bool("update", false, "rewrite files that aren't formatted")

// Every rule and test is what `opa fmt` makes of it.
func TestFormat(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".rego" {
			return err
		}
		return checkFormat(t, path)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFormat(t *testing.T, path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	formatted, err := format.SourceWithOpts(path, source, format.Opts{RegoVersion: ast.RegoV1})
	switch {
	case err != nil:
		t.Errorf("%s: %v", path, err)
	case bytes.Equal(source, formatted):
	case *update:
		return os.WriteFile(path, formatted, 0o644)
	default:
		t.Errorf("%s is not formatted: run go test ./rego -update", path)
	}
	return nil
}
