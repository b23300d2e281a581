package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// sourceModule holds the specification; its version is go.mod's.
const sourceModule = "k8s.io/kubernetes"

// spec is the part of a Swagger 2.0 document that describes types, by definition name.
type spec map[string]node

// node is one schema of the specification. Keywords that it doesn't name (descriptions, patch
// strategies, required fields) say nothing about which fields exist.
type node struct {
	Ref          string                `json:"$ref"`
	Type         string                `json:"type"`
	Format       string                `json:"format"`
	Properties   map[string]node       `json:"properties"`
	Items        *node                 `json:"items"`
	AllOf        []json.RawMessage     `json:"allOf"`
	AnyOf        []json.RawMessage     `json:"anyOf"`
	OneOf        []json.RawMessage     `json:"oneOf"`
	PreserveAll  bool                  `json:"x-kubernetes-preserve-unknown-fields"`
	GroupVersion []groupVersionAndKind `json:"x-kubernetes-group-version-kind"`
}

type groupVersionAndKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// specPath returns the specification's path in the module cache, downloading the module when it
// isn't there.
func specPath() (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", sourceModule).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s%s", err, out, exit.Stderr)
		}
		return "", fmt.Errorf("locate module %s: %w", sourceModule, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("locate module %s: %w", sourceModule, err)
	}
	return filepath.Join(module.Dir, "api", "openapi-spec", "swagger.json"), nil
}

// readSpec reads a Swagger 2.0 document.
func readSpec(path string) (spec, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read specification: %w", err)
	}
	var document struct {
		Definitions spec `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("decode specification %s: %w", path, err)
	}
	return document.Definitions, nil
}
