// Package scaffold writes the first version of what an author then changes.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
)

//go:embed templates
var templates embed.FS

// Options say which rule is wanted.
type Options struct {
	Name string // area/name, such as ingress/my-rule
	Kind string // group/Kind; empty for the kind of the area
	Dir  string // the folder to write below; it is made if need be
}

// areas are the kinds of the areas that have one.
func areas() map[string]schema.GroupKind {
	return map[string]schema.GroupKind{
		"ingress":       {Group: "networking.k8s.io", Kind: "Ingress"},
		"networkpolicy": {Group: "networking.k8s.io", Kind: "NetworkPolicy"},
		"service":       {Kind: "Service"},
		"namespace":     {Kind: "Namespace"},
		"gateway":       {Group: "gateway.networking.k8s.io", Kind: "Gateway"},
	}
}

// rule is what the templates read.
type rule struct {
	wanted       string // as the author wrote it
	area, folder string
	Name         string // as a Rego name
	Package      string
	GroupKind    string
	Kind         string
	Article      string
	Builder      string // a function of data.sluice.lib.testing that makes an object of the kind
	Arguments    string // of Builder
}

// Rule writes a rule and its test, which pass and are lint-clean, and returns their paths. No file is ever overwritten,
// and none is written if one can't be.
func Rule(o Options) ([]string, error) {
	r, err := newRule(o)
	if err != nil {
		return nil, err
	}
	files, err := r.render()
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(o.Dir, r.area, r.folder)
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(folder, name)
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s is there already: choose another name, or remove it first", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("new rule: %w", err)
		}
		paths = append(paths, path)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("new rule: %w", err)
	}
	for _, path := range paths {
		if err := create(path, files[filepath.Base(path)]); err != nil {
			return nil, fmt.Errorf("new rule: %w", err)
		}
	}
	return paths, nil
}

func create(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

var (
	nameForm = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	// taken are words of Rego, and names that the test uses for something else.
	taken = strings.Fields("as contains data default else every false if import in input not null object package some true with " +
		"deny found nobody obj web create labelled with_parameters review sprintf")
)

const wantedName = "want AREA/NAME in lower-case letters, digits and dashes, such as networkpolicy/my-rule"

func newRule(o Options) (rule, error) {
	area, name, found := strings.Cut(o.Name, "/")
	if !found {
		return rule{}, fmt.Errorf("%q is no name of a rule: %s", o.Name, wantedName)
	}
	for _, part := range []string{area, name} {
		if !nameForm.MatchString(part) || len(part) > 63 {
			return rule{}, fmt.Errorf("%q is no name of a rule, because of %q: %s", o.Name, part, wantedName)
		}
		if slices.Contains(taken, part) {
			return rule{}, fmt.Errorf("%q is no name of a rule: %q means something else in Rego or in the test; choose another", o.Name, part)
		}
	}
	switch {
	case area == "lib":
		return rule{}, fmt.Errorf("%q is no name of a rule: the area lib is for modules that rules share", o.Name)
	case strings.HasSuffix(name, "-test"):
		return rule{}, fmt.Errorf("%q is no name of a rule: files named …_test.rego are tests", o.Name)
	}
	kind, known := areas()[area]
	if o.Kind != "" {
		var err error
		if kind, err = engine.ParseGroupKind(o.Kind); err != nil {
			return rule{}, fmt.Errorf("--kind %w", err)
		}
	} else if !known {
		return rule{}, fmt.Errorf("the area %s says nothing of the kind to judge: add --kind GROUP/KIND, such as --kind networking.k8s.io/Ingress "+
			"(areas with a kind are %s)", area, strings.Join(slices.Sorted(maps.Keys(areas())), ", "))
	}
	if reason := policies.NeverMatchable(kind); reason != "" {
		return rule{}, fmt.Errorf("no policy can match %s: %s", engine.FormatGroupKind(kind), reason)
	}
	r := rule{wanted: o.Name, area: underscored(area), folder: underscored(name), Name: underscored(name), Kind: kind.Kind,
		GroupKind: engine.FormatGroupKind(kind), Article: "A"}
	if r.Builder, r.Arguments = builder(kind); r.Builder == r.Name {
		return rule{}, fmt.Errorf("%q is no name of a rule: %q means something else in the test; choose another", o.Name, name)
	}
	r.Package = "sluice." + r.area + "." + r.Name
	if strings.ContainsAny(kind.Kind[:1], "AEIO") {
		r.Article = "An"
	}
	return r, nil
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// builder is the function, with its arguments, by which a test makes an object of the kind.
func builder(kind schema.GroupKind) (function, arguments string) {
	switch area := strings.ToLower(kind.Kind); {
	case areas()[area] != kind:
	case area == "namespace":
		return area, `"shop", {}`
	default:
		return area, "{}"
	}
	version := strings.TrimPrefix(kind.Group+"/v1", "/")
	return "object_of", fmt.Sprintf("%q, %q, {}", version, kind.Kind)
}

// render makes the files, by name, and makes sure that they are Rego and that the rule loads beside the shipped ones.
func (r rule) render() (map[string][]byte, error) {
	all, err := template.ParseFS(templates, "templates/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("new rule: %w", err)
	}
	files := map[string][]byte{}
	for file, from := range map[string]string{r.Name + ".rego": "rule.rego.tmpl", r.Name + "_test.rego": "rule_test.rego.tmpl"} {
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, from, r); err != nil {
			return nil, fmt.Errorf("new rule: %w", err)
		}
		formatted, err := engine.Format(file, out.String())
		if err != nil {
			return nil, fmt.Errorf("%q is no name of a rule: %w", r.wanted, err)
		}
		files[file] = []byte(formatted)
	}
	shipped, err := profile.ShippedRules()
	if err != nil {
		return nil, fmt.Errorf("new rule: %w", err)
	}
	if other, there := shipped.Rule(strings.ReplaceAll(r.area+"-"+r.Name, "_", "-")); there {
		return nil, fmt.Errorf("Sluice ships a rule %s (%s): choose another name", other.ID, other.Title)
	}
	if _, err := shipped.Inline(r.Name+".rego", string(files[r.Name+".rego"])); err != nil {
		return nil, fmt.Errorf("%q is no name of a rule: %w", r.wanted, err)
	}
	return files, nil
}
