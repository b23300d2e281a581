package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// fileSet is the generated text by slash-separated path below the output folder.
type fileSet map[string][]byte

// kindsDir holds one file per kind and nothing else.
const kindsDir = "kinds"

// build returns kinds/<group>_<Kind>.json for each kind, the core group being "core", and
// definitions.json with every type they refer to.
func build(source spec, kinds []groupVersionAndKind) (fileSet, error) {
	trim := &trimmer{spec: source, definitions: map[string]schema{}}
	files := fileSet{}
	for _, kind := range kinds {
		definition, err := source.find(kind)
		if err != nil {
			return nil, err
		}
		object, err := trim.object(definition.Properties, "")
		if err != nil {
			return nil, fmt.Errorf("kind %s: %w", kind.Kind, err)
		}
		group := kind.Group
		if group == "" {
			group = "core"
		}
		if err := files.add(kindsDir+"/"+group+"_"+kind.Kind+".json", object); err != nil {
			return nil, err
		}
	}
	if err := files.add("definitions.json", trim.definitions); err != nil {
		return nil, err
	}
	return files, nil
}

// add renders a document with sorted keys, indented by one space: the depth of these documents
// makes wider indents a fifth of their size.
func (f fileSet) add(name string, document any) error {
	text, err := json.MarshalIndent(document, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	f[name] = append(text, '\n')
	return nil
}

// write makes dir hold exactly these files, removing kinds that are no longer generated.
func (f fileSet) write(dir string) error {
	stale, err := f.stale(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, kindsDir), 0o755); err != nil {
		return fmt.Errorf("write schemas: %w", err)
	}
	for _, name := range stale {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if text, ok := f[name]; ok {
			err = os.WriteFile(path, text, 0o644)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("write schemas: %w", err)
		}
	}
	return nil
}

// stale returns, sorted, the files below dir that differ, are missing, or should not be there.
func (f fileSet) stale(dir string) ([]string, error) {
	var names []string
	for name, want := range f {
		have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("compare schemas: %w", err)
		}
		if err != nil || !bytes.Equal(have, want) {
			names = append(names, name)
		}
	}
	existing, err := filepath.Glob(filepath.Join(dir, kindsDir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("compare schemas: %w", err)
	}
	for _, path := range existing {
		if name := kindsDir + "/" + filepath.Base(path); f[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
