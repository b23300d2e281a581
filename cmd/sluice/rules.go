package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/spelling"
)

type rulesFlags struct {
	policies []string
	output   string
}

func newRulesCommand() *cobra.Command {
	f := rulesFlags{output: "text"}
	command := &cobra.Command{
		Use:   "rules [ID]",
		Short: "List rules, or print the documentation of one",
		Long: `Rules lists the rules that there are, or prints what one of them says of itself: what it judges, why,
and its parameters with their defaults. With -o markdown it prints the reference, which shows objects that
a rule refuses and admits, taken from those of its tests that METADATA calls examples:

  # METADATA
  # title: a host that no TLS entry covers
  # custom: {example: refused}

What an example shows is refused, admitted, patched or generated.`,
		Example: `  sluice rules
  sluice rules networkpolicy-wildcard-egress
  sluice rules -o markdown > rules.md
  sluice rules --policies policies/ team-hosts`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	addChoice(command, &f.output, "output", "o", "format", "text", "markdown", "json")
	command.Flags().StringArrayVar(&f.policies, "policies", nil, "file or folder at `PATH` with .rego rules beside the shipped ones (repeatable)")
	command.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.ids(), cobra.ShellCompDirectiveNoFileComp
	}
	return command
}

func (f *rulesFlags) ids() []string {
	set, err := profile.Load(profile.Options{Paths: f.policies})
	if err != nil {
		return nil
	}
	var ids []string
	for _, rule := range set.Library.Rules() {
		ids = append(ids, rule.ID)
	}
	return ids
}

func (f *rulesFlags) run(command *cobra.Command, args []string) error {
	set, err := profile.Load(profile.Options{Paths: f.policies})
	if err != nil {
		return unjudged(err)
	}
	rules := set.Library.Rules()
	if len(args) == 1 {
		rule, ok := set.Library.Rule(args[0])
		if !ok {
			return fmt.Errorf("there is no rule %q%s", args[0], nearest(args[0], rules))
		}
		rules = []*engine.Rule{rule}
	}
	docs := make([]ruleDoc, len(rules))
	for i, rule := range rules {
		docs[i] = newRuleDoc(rule, set.Source(rule))
	}
	var out bytes.Buffer
	switch one := len(args) == 1; {
	case f.output == "json" && one:
		err = encode(&out, docs[0])
	case f.output == "json":
		err = encode(&out, docs)
	case f.output == "markdown":
		err = writeReference(command.Context(), &out, set, docs, !one)
	case one:
		docs[0].text(&out)
	default:
		err = list(&out, docs)
	}
	if err == nil {
		_, err = command.OutOrStdout().Write(out.Bytes())
	}
	return unjudged(err)
}

func encode(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// list prints one line per rule.
func list(w io.Writer, docs []ruleDoc) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSEVERITY\tVERBS\tKINDS\tTITLE")
	for _, d := range docs {
		fmt.Fprintln(table, printable(strings.Join([]string{d.ID, d.Severity, strings.Join(d.Verbs, ","), strings.Join(d.Kinds, ","), d.Title}, "\t")))
	}
	return table.Flush()
}

func nearest(id string, rules []*engine.Rule) string {
	var ids []string
	for _, rule := range rules {
		ids = append(ids, rule.ID)
	}
	return spelling.Suggest(id, ids)
}
