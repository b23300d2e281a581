package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/rego"
)

// profileUse is what a shipped profile does with a rule.
type profileUse struct{ Profile, Action string }

// writeReference prints the documentation of rules with their profiles and examples: with a table of contents,
// or only the sections.
func writeReference(ctx context.Context, w io.Writer, set *profile.Set, docs []ruleDoc, contents bool) error {
	examples, err := engine.Examples(ctx, []fs.FS{rego.Rules, set.RegoFiles()}...)
	if err != nil {
		return profile.Faults(err, set.RegoFiles())
	}
	uses, err := profileUses()
	if err != nil {
		return err
	}
	for i := range docs {
		d := &docs[i]
		d.profiles = uses[d.ID]
		rule, _ := set.Library.Rule(d.ID)
		for _, e := range examples[d.ID] {
			shown, err := newExampleDoc(ctx, set.Library, rule, e)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", set.Display(e.File), e.Line, err)
			}
			d.examples = append(d.examples, shown)
		}
	}
	if contents {
		writeContents(w, docs)
	}
	for i, d := range docs {
		if i > 0 || contents {
			fmt.Fprintln(w)
		}
		d.markdown(w)
	}
	return nil
}

// profileUses are what each profile does with each rule. A rule that patches or generates is on or not: its
// action is no refusal.
func profileUses() (map[string][]profileUse, error) {
	out := map[string][]profileUse{}
	for _, name := range profile.Names() {
		if name == profile.None {
			continue
		}
		set, err := profile.Load(profile.Options{Name: name})
		if err != nil {
			return nil, err
		}
		for _, rule := range set.Library.Rules() {
			use := profileUse{name, "–"}
			for _, p := range set.Policies {
				if p.Spec.Rule == rule.ID {
					use.Action = actionText(rule, p.Spec.Action)
				}
			}
			out[rule.ID] = append(out[rule.ID], use)
		}
	}
	return out, nil
}

func actionText(rule *engine.Rule, action v1alpha1.Action) string {
	if action == v1alpha1.ActionDeny && !rule.States(engine.Deny) && !rule.States(engine.Warn) {
		return "on"
	}
	return string(action)
}

// writeContents prints what stands in front of the sections: the rules by area, the first word of their ids.
func writeContents(w io.Writer, docs []ruleDoc) {
	fmt.Fprint(w, "<!-- Written by `sluice rules -o markdown`. Change the rules' METADATA and tests instead. -->\n# Rules\n\n"+
		"What each rule judges, why, and what it says of an object. A rule is switched on by a profile, or by a\n"+
		"GatePolicy that names it and may set its parameters. The examples are taken from the rules' tests.\n")
	area := ""
	for _, d := range docs {
		own, _, _ := strings.Cut(d.ID, "-")
		if own != area {
			area = own
			fmt.Fprintf(w, "\n**%s**\n\n", area)
		}
		fmt.Fprintf(w, "- [%s](#%s): %s\n", d.ID, d.ID, strings.TrimSuffix(d.Title, "."))
	}
}

// markdown prints the documentation as a section.
func (d ruleDoc) markdown(w io.Writer) {
	fmt.Fprintf(w, "## %s\n\n**%s.** %s\n\n", d.ID, strings.TrimSuffix(d.Title, "."), d.Description)
	head, row := []string{"severity", "states", "kinds", "operations"},
		[]string{d.Severity, strings.Join(d.Verbs, ", "), strings.Join(d.Kinds, ", "), strings.Join(d.Operations, ", ")}
	for _, use := range d.profiles {
		head, row = append(head, use.Profile), append(row, use.Action)
	}
	table(w, head, row)
	if d.Only != "" {
		fmt.Fprintf(w, "\nOnly for: %s\n", d.Only)
	}
	if len(d.State) > 0 {
		fmt.Fprintf(w, "\nAsks about: %s\n", strings.Join(d.State, ", "))
	}
	if len(d.Generates) > 0 {
		fmt.Fprintf(w, "\nGenerates: %s\n", strings.Join(d.Generates, ", "))
	}
	if len(d.Parameters) > 0 {
		var rows [][]string
		for _, p := range d.Parameters {
			fallback := p.remark()
			if p.Default != nil {
				fallback = "`" + compact(p.Default) + "`"
			}
			rows = append(rows, []string{"`" + p.Name + "`", p.Type, fallback, strings.Join(strings.Fields(p.Description), " ")})
		}
		fmt.Fprintln(w)
		table(w, []string{"parameter", "type", "default", "meaning"}, rows...)
	}
	for _, e := range d.examples {
		e.markdown(w)
	}
	for i, reference := range d.References {
		if i == 0 {
			fmt.Fprint(w, "\nWhy:\n\n")
		}
		fmt.Fprintf(w, "- <%s>\n", reference)
	}
	fmt.Fprintf(w, "\nSource: `%s`\n", d.Source)
}

// table prints a table; a bar in a cell does not end it.
func table(w io.Writer, head []string, rows ...[]string) {
	line := func(cells []string) {
		escaped := slices.Clone(cells)
		for i, cell := range escaped {
			escaped[i] = strings.ReplaceAll(strings.ReplaceAll(cell, "|", `\|`), "\n", " ")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(escaped, " | "))
	}
	line(head)
	fmt.Fprintln(w, strings.Repeat("|---", len(head))+"|")
	for _, row := range rows {
		line(row)
	}
}
