package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/report"
)

type lintFlags struct {
	output string
	write  bool
}

func newLintCommand() *cobra.Command {
	f := lintFlags{output: report.FormatText}
	command := &cobra.Command{
		Use:   "lint [DIR...]",
		Short: "Say what is wrong with the style of rules",
		Long: `Lint says what keeps rules from loading, and what their authors should change. Without a folder it judges
the shipped rules.

  lint/parse                     it is no Rego
  lint/metadata                  METADATA is missing, incomplete or wrong
  lint/compile                   it does not load: strict mode, types, what a rule must not do
  lint/format                    it is not what opa fmt makes of it; --write puts that right
  lint/unused                    no verb reaches a rule or function, perhaps because a verb is misspelt
  lint/message-before-condition  a text is put together before it is known to be needed
  lint/negated-undefined         not f(x) where x may be missing: the rule then says nothing
  lint/untested                  no test reads the rule
  lint/coverage                  tests don't reach all of it; only sluice test says so

Exit codes: 0 nothing found, 1 findings, 2 something could not be read.`,
		Example: `  sluice lint policies/
  sluice lint --write policies/
  sluice lint -o github policies/`,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	addChoice(command, &f.output, "output", "o", "format", report.LintFormats()...)
	command.Flags().BoolVar(&f.write, "write", false, "format the files first")
	return command
}

func (f *lintFlags) run(command *cobra.Command, args []string) error {
	if f.write && len(args) == 0 {
		return fmt.Errorf("--write needs the folders to format: the shipped rules are part of the program")
	}
	folders, err := readRuleFolders(args)
	if err != nil {
		return unjudged(err)
	}
	if sources, err := engine.Sources(folders.given); err != nil || len(sources) == 0 {
		return unjudged(cmp.Or(err, fmt.Errorf("no .rego file in %s", strings.Join(args, ", "))))
	}
	if f.write {
		if err := format(command, folders); err != nil {
			return unjudged(err)
		}
		if folders, err = readRuleFolders(args); err != nil {
			return unjudged(err)
		}
	}
	findings, err := folders.lint()
	if err != nil {
		return unjudged(err)
	}
	if err := report.WriteLint(command.OutOrStdout(), f.output, findings); err != nil {
		return unjudged(err)
	}
	if len(findings) > 0 {
		return exit(check.ExitFindings)
	}
	return nil
}

// format writes each file that isn't formatted, and names it on stderr. What is no Rego stays as it is.
func format(command *cobra.Command, folders ruleFolders) error {
	findings, err := engine.Lint(folders.given, folders.libs...)
	if err != nil {
		return err
	}
	for _, found := range findings {
		if found.ID != engine.LintFormat {
			continue
		}
		source, err := fs.ReadFile(folders.given, found.File)
		if err != nil {
			return err
		}
		formatted, err := engine.Format(found.File, string(source))
		if err != nil {
			continue // a finding says so
		}
		if err := replaceFile(folders.display(found.File), []byte(formatted)); err != nil {
			return fmt.Errorf("write %s: %w", folders.display(found.File), err)
		}
		fmt.Fprintln(command.ErrOrStderr(), "formatted "+printable(folders.display(found.File)))
	}
	return nil
}
