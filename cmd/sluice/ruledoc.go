package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// ruleDoc is the documentation of a rule. Its JSON keys are a stable interface.
type ruleDoc struct {
	ID          string         `json:"id"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Severity    string         `json:"severity"`
	Verbs       []string       `json:"verbs"`
	Kinds       []string       `json:"kinds"`
	Operations  []string       `json:"operations"`
	Only        string         `json:"only,omitempty"`
	State       []string       `json:"state,omitempty"`
	Generates   []string       `json:"generates,omitempty"`
	Parameters  []parameterDoc `json:"parameters,omitempty"`
	References  []string       `json:"references,omitempty"`
	Source      string         `json:"source"`

	// For markdown only.
	profiles []profileUse
	examples []exampleDoc
}

type parameterDoc struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
	Default     any    `json:"default,omitempty"`
	Required    bool   `json:"required,omitempty"`
}

func newRuleDoc(r *engine.Rule, source string) ruleDoc {
	d := ruleDoc{
		ID: r.ID, Title: r.Title, Description: r.Description, Severity: r.Severity, References: r.References, Source: source, Only: r.Only,
		Kinds: kindNames(r.Kinds), State: kindNames(r.State), Generates: kindNames(r.Generates), Parameters: parameterDocs(r.Parameters),
	}
	for _, verb := range r.Verbs {
		d.Verbs = append(d.Verbs, string(verb))
	}
	for _, operation := range r.Operations {
		d.Operations = append(d.Operations, string(operation))
	}
	return d
}

func kindNames(kinds []schema.GroupKind) []string {
	var out []string
	for _, kind := range kinds {
		out = append(out, engine.FormatGroupKind(kind))
	}
	return out
}

// parameterDocs are the parameters of a JSON Schema, those in an object behind it and named by their path.
func parameterDocs(schema map[string]any) []parameterDoc {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	var out []parameterDoc
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		description, _ := property["description"].(string)
		out = append(out, parameterDoc{
			Name: name, Type: typeName(property), Description: description, Default: property["default"],
			Required: slices.Contains(required, any(name)),
		})
		for _, inner := range parameterDocs(property) {
			inner.Name = name + "." + inner.Name
			out = append(out, inner)
		}
	}
	return out
}

func typeName(property map[string]any) string {
	if values, ok := property["enum"].([]any); ok {
		var names []string
		for _, v := range values {
			names = append(names, compact(v))
		}
		return strings.Join(names, " or ")
	}
	name, _ := property["type"].(string)
	if items, ok := property["items"].(map[string]any); ok && name == "array" {
		return "array of " + typeName(items)
	}
	return name
}

func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func (p parameterDoc) remark() string {
	switch {
	case p.Required:
		return "required"
	case p.Default == nil:
		return "no default"
	}
	return "default " + compact(p.Default)
}

// text prints the documentation for a terminal.
func (d ruleDoc) text(w io.Writer) {
	fmt.Fprintf(w, "%s\n    %s\n\n", printable(d.ID), printable(d.Title))
	for _, line := range wrap(d.Description, 96) {
		fmt.Fprintln(w, "    "+printable(line))
	}
	fmt.Fprintln(w)
	row := func(name string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(w, "%-11s %s\n", name, printable(strings.Join(values, ", ")))
		}
	}
	row("severity", []string{d.Severity})
	row("states", d.Verbs)
	row("kinds", d.Kinds)
	row("operations", d.Operations)
	if d.Only != "" {
		row("only for", []string{d.Only})
	}
	row("asks about", d.State)
	row("generates", d.Generates)
	row("source", []string{d.Source})
	for i, p := range d.Parameters {
		if i == 0 {
			fmt.Fprintln(w, "\nparameters")
		}
		fmt.Fprintf(w, "    %s\n", printable(fmt.Sprintf("%s (%s, %s)", p.Name, p.Type, p.remark())))
		for _, line := range wrap(p.Description, 92) {
			fmt.Fprintln(w, "        "+printable(line))
		}
	}
	for i, reference := range d.References {
		if i == 0 {
			fmt.Fprintln(w, "\nreferences")
		}
		fmt.Fprintln(w, "    "+printable(reference))
	}
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last < 0 || len(lines[last])+1+len(word) > width {
			lines = append(lines, word)
			continue
		}
		lines[last] += " " + word
	}
	return lines
}
