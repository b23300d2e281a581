package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/corpus"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/rego"
)

type testFlags struct {
	policyFlags
	corpus []string
}

func newTestCommand() *cobra.Command {
	var f testFlags
	command := &cobra.Command{
		Use:   "test [DIR...]",
		Short: "Run the tests of rules, and corpora of cases",
		Long: `Test runs the Rego unit tests in folders of rules, and shows which lines of the rules they reach.
Without a folder it runs those of the shipped rules.

With --corpus it runs case files instead, or as well if folders are given: each holds a request, what
exists at that time, and the outcome that it has to have under the profile. A case about a rule that the
profile does not have is skipped.

The last line says how many passed and failed. Exit code 1 means that some failed.`,
		Example: `  sluice test
  sluice test policies/
  sluice test --corpus corpus/ --profile restricted`,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	command.Flags().StringArrayVar(&f.corpus, "corpus", nil, "folder `DIR` of case files (repeatable)")
	f.policyFlags.add(command, "restricted")
	return command
}

// tally counts tests.
type tally struct{ passed, failed, skipped, broken int }

// lines are the last lines: scripts read the very last.
func (t tally) lines() string {
	lines := fmt.Sprintf("%d passed, %d failed", t.passed, t.failed)
	if t.skipped > 0 {
		lines = fmt.Sprintf("%d skipped\n%s", t.skipped, lines)
	}
	return lines
}

func (f *testFlags) run(command *cobra.Command, args []string) error {
	var t tally
	stdout := command.OutOrStdout()
	if len(args) > 0 || len(f.corpus) == 0 {
		if err := runRegoTests(command.Context(), stdout, args, &t); err != nil {
			return unjudged(err)
		}
	}
	if len(f.corpus) > 0 {
		if err := f.runCorpus(command, &t); err != nil {
			return unjudged(err)
		}
	}
	if _, err := fmt.Fprintln(stdout, t.lines()); err != nil {
		return unjudged(err)
	}
	switch {
	case t.broken > 0:
		return exit(check.ExitUnjudged)
	case t.failed > 0:
		return exit(check.ExitFindings)
	}
	return nil
}

// runRegoTests prints the tests that failed and the coverage of each rule.
func runRegoTests(ctx context.Context, w io.Writer, dirs []string, t *tally) error {
	folders := []fs.FS{rego.Rules}
	files := profile.RegoFiles{}
	if len(dirs) > 0 {
		var err error
		if files, err = profile.ReadRegoFiles(dirs); err != nil {
			return err
		}
		folders = []fs.FS{files}
		if !files.Matches(libPackage) {
			folders = append(folders, libFolder{rego.Rules})
		}
	}
	results, coverage, err := engine.Test(ctx, folders...)
	if err != nil {
		return profile.Faults(err, files)
	}
	if len(results) == 0 {
		return fmt.Errorf("no tests in %s: expected rules named test_… in files named …_test.rego", strings.Join(dirs, ", "))
	}
	for _, r := range results {
		where := fmt.Sprintf("%s (%s:%d)", r.Name, files.Display(r.File), r.Line)
		switch {
		case r.Skipped:
			t.skipped++
			fmt.Fprintf(w, "SKIP %s\n", printable(where))
		case r.Passed:
			t.passed++
		default:
			t.failed++
			fmt.Fprintf(w, "FAIL %s\n", printable(where))
			if r.Reason != "" {
				fmt.Fprintf(w, "    %s\n", printable(strings.ReplaceAll(r.Reason, "\n", "\n    ")))
			}
		}
	}
	for _, c := range coverage {
		if len(dirs) == 0 || files.Has(c.File) {
			fmt.Fprintln(w, printable(coverageLine(files.Display(c.File), c)))
		}
	}
	return nil
}

func coverageLine(file string, c engine.Coverage) string {
	line := fmt.Sprintf("%5.1f%% %s", c.Percent, file)
	var missing []string
	for _, r := range c.Uncovered {
		if r.First == r.Last {
			missing = append(missing, fmt.Sprint(r.First))
		} else {
			missing = append(missing, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
	}
	if len(missing) > 0 {
		line += ": lines " + strings.Join(missing, ", ") + " are not reached"
	}
	return line
}

// libPackage is how a module says that it belongs to the shared library.
var libPackage = regexp.MustCompile(`(?m)^package\s+sluice\.lib\b`)

// libFolder is the shared library without its tests: what rules elsewhere may import.
type libFolder struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (l libFolder) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(l.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return name == "." && e.Name() != "lib" || strings.HasSuffix(e.Name(), "_test.rego")
	}), err
}

// runCorpus prints the cases that did not pass.
func (f *testFlags) runCorpus(command *cobra.Command, t *tally) error {
	set, err := f.load()
	if err != nil {
		return err
	}
	progress := newProgress(command.ErrOrStderr(), "cases")
	results, problems, err := corpus.Run(command.Context(), corpus.Options{Paths: f.corpus, Policies: set, Progress: progress.step})
	progress.end()
	if err != nil {
		return err
	}
	if t.broken = len(problems); t.broken > 0 {
		printProblems(command.ErrOrStderr(), problems)
	}
	for _, r := range results {
		switch r.Status {
		case corpus.Passed:
			t.passed++
		case corpus.Skipped:
			t.skipped++
			fmt.Fprintf(command.OutOrStdout(), "SKIP %s: %s\n", printable(r.Case.ID), printable(r.Reason))
		default:
			t.failed++
			printFailure(command.OutOrStdout(), r)
		}
	}
	return nil
}

func printProblems(w io.Writer, problems []manifest.Problem) {
	fmt.Fprintln(w, printable(profile.Problems(problems).Error()))
}

func printFailure(w io.Writer, r corpus.Result) {
	lines := []string{
		fmt.Sprintf("FAIL %s: %s", r.Case.ID, r.Case.Title),
		"    in       " + r.Case.File,
		fmt.Sprintf("    expected %s, about %s", r.Case.Expect, strings.Join(r.Case.About, ", ")),
		fmt.Sprintf("    got      %s: %s", r.Got, r.Reason),
	}
	for _, f := range r.Findings {
		lines = append(lines, fmt.Sprintf("    %-8s %s: %s", f.Effect, f.Policy, f.Message))
		if f.Field != "" {
			lines = append(lines, "             at "+f.Field)
		}
	}
	fmt.Fprintln(w, printable(strings.Join(lines, "\n")))
}
