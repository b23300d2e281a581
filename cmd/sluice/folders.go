package main

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
	"github.com/sluice-gate/sluice/rego"
)

// ruleFolders are rules to be tested or linted, and the modules that they may import.
type ruleFolders struct {
	given fs.FS
	libs  []fs.FS // shared modules that given does not hold itself
	files profile.RegoFiles
}

// readRuleFolders reads folders and files; without any, the shipped rules.
func readRuleFolders(paths []string) (ruleFolders, error) {
	if len(paths) == 0 {
		return ruleFolders{given: rego.Rules}, nil
	}
	files, err := profile.ReadRegoFiles(paths)
	if err != nil {
		return ruleFolders{}, err
	}
	return ruleFolders{given: files, libs: []fs.FS{libFolder{rego.Rules, files}}, files: files}, nil
}

// display is the name of a file to a person.
func (f ruleFolders) display(file string) string { return f.files.Display(file) }

// own tells whether a file is one of those given.
func (f ruleFolders) own(file string) bool { return f.files == nil || f.files.Has(file) }

// lint says what Lint finds, with files as a person names them.
func (f ruleFolders) lint() ([]report.LintFinding, error) {
	found, err := engine.Lint(f.given, f.libs...)
	if err != nil {
		return nil, err
	}
	out := make([]report.LintFinding, len(found))
	for i, l := range found {
		out[i] = report.LintFinding{File: f.display(l.File), Line: l.Line, Column: l.Column, ID: l.ID, Reason: l.Reason, Fix: l.Fix}
	}
	return out, nil
}

// packageLine is how a module says which package it belongs to.
var packageLine = regexp.MustCompile(`(?m)^package\s+(\S+)`)

// libFolder is the shared library without its tests, and without the packages that some files hold themselves: what
// rules elsewhere may import.
type libFolder struct {
	fs.FS
	files profile.RegoFiles
}

// ReadDir implements fs.ReadDirFS.
func (l libFolder) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(l.FS, name)
	if err != nil {
		return nil, err
	}
	var kept []fs.DirEntry
	for _, e := range entries {
		switch {
		case name == "." && e.Name() != "lib", strings.HasSuffix(e.Name(), "_test.rego"):
			continue
		case e.IsDir():
			kept = append(kept, e)
			continue
		}
		text, err := fs.ReadFile(l.FS, path.Join(name, e.Name()))
		if err != nil {
			return nil, err
		}
		if pkg := packageLine.FindSubmatch(text); pkg != nil && !l.held(string(pkg[1])) {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

func (l libFolder) held(pkg string) bool {
	return l.files.Matches(regexp.MustCompile(`(?m)^package\s+` + regexp.QuoteMeta(pkg) + `\s*$`))
}
