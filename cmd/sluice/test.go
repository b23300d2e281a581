package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/corpus"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

type testFlags struct {
	policyFlags
	corpus []string
	output string
	watch  bool
	noLint bool
}

func newTestCommand() *cobra.Command {
	f := testFlags{output: report.FormatText}
	command := &cobra.Command{
		Use:   "test [DIR...]",
		Short: "Run the tests of rules, and corpora of cases",
		Long: `Test runs the Rego unit tests in folders of rules, shows which lines of the rules they don't reach, and
lints the rules (see sluice lint). Without a folder it does so for the shipped rules. What a test does not
say of input.parameters has the defaults of the rule's METADATA. Tests and rules may import
data.sluice.lib.*, of which data.sluice.lib.testing makes requests for tests. What they print is shown
with the test.

With --corpus it runs case files instead, or as well if folders are given: each holds a request, what
exists at that time, and the outcome that it has to have under the profile. A case about a rule that the
profile does not have is skipped.

The last line says how many passed and failed; with -o junit and -o json it goes to stderr. Exit code 1
means that some failed, or that lint found something.`,
		Example: `  sluice test
  sluice test --watch policies/
  sluice test -o junit policies/ > report.xml
  sluice test --corpus corpus/ --profile restricted`,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	command.Flags().StringArrayVar(&f.corpus, "corpus", nil, "folder `DIR` of case files (repeatable)")
	command.Flags().BoolVarP(&f.watch, "watch", "w", false, "run again whenever a file changes, until interrupted")
	command.Flags().BoolVar(&f.noLint, "no-lint", false, "don't lint the rules, and let lines go untested")
	addChoice(command, &f.output, "output", "o", "format", report.TestFormats()...)
	f.policyFlags.add(command, "restricted")
	return command
}

func (f *testFlags) run(command *cobra.Command, args []string) error {
	if !f.watch {
		return f.once(command, args)
	}
	paths := append(append([]string{}, args...), f.corpus...)
	paths = append(paths, f.policies...)
	if len(paths) == 0 {
		return fmt.Errorf("--watch needs a folder to watch: the shipped rules don't change")
	}
	return unjudged(watch(command.Context(), paths, func() {
		// What went wrong is said, as it would be without --watch; the next change may put it right.
		conclude(command, f.once(command, args), command.ErrOrStderr())
		fmt.Fprintln(command.ErrOrStderr(), "Watching for changes; Ctrl-C ends.")
	}))
}

// once runs all tests one time.
func (f *testFlags) once(command *cobra.Command, args []string) error {
	var t report.Tests
	if len(args) > 0 || len(f.corpus) == 0 {
		if err := f.runRego(command.Context(), args, &t); err != nil {
			return f.untested(command.OutOrStdout(), err)
		}
	}
	if len(f.corpus) > 0 {
		if err := f.runCorpus(command, &t); err != nil {
			return f.untested(command.OutOrStdout(), err)
		}
	}
	if err := report.WriteTests(command.OutOrStdout(), f.output, t); err != nil {
		return unjudged(err)
	}
	if f.output != report.FormatText {
		fmt.Fprint(command.ErrOrStderr(), t.Summary())
	}
	switch {
	case t.Count(report.TestError) > 0:
		return exit(check.ExitUnjudged)
	case t.Count(report.TestFailed) > 0 || len(t.Lint) > 0:
		return exit(check.ExitFindings)
	}
	return nil
}

// untested is the end of a run without tests. Formats that a program reads have the problems too.
func (f *testFlags) untested(w io.Writer, err error) error {
	var problems profile.Problems
	if f.output == report.FormatText || !errors.As(err, &problems) {
		return unjudged(err)
	}
	return unjudged(errors.Join(err, report.WriteTests(w, f.output, report.Tests{Tests: problemTests(problems)})))
}

// problemTests are what could not be run, as tests that did not.
func problemTests(problems []manifest.Problem) []report.Test {
	out := make([]report.Test, len(problems))
	for i, p := range problems {
		out[i] = report.Test{Suite: filepath.Dir(p.File), Name: p.File, File: p.File, Line: p.Line, Status: report.TestError, Reason: p.String()}
	}
	return out
}

// runRego runs the tests in folders, and lints them.
func (f *testFlags) runRego(ctx context.Context, dirs []string, t *report.Tests) error {
	folders, err := readRuleFolders(dirs)
	if err != nil {
		return err
	}
	results, coverage, err := engine.Test(ctx, append(folders.libs, folders.given)...)
	if err != nil {
		return profile.Faults(err, folders.files)
	}
	if len(results) == 0 {
		return fmt.Errorf("no tests in %s: expected rules named test_… in files named …_test.rego", strings.Join(dirs, ", "))
	}
	for _, r := range results {
		t.Tests = append(t.Tests, regoTest(r, folders))
	}
	if !f.noLint {
		if t.Lint, err = folders.lint(); err != nil {
			return err
		}
	}
	for _, c := range coverage {
		if !folders.own(c.File) {
			continue
		}
		shown := report.Coverage{File: folders.display(c.File), Percent: c.Percent}
		for _, r := range c.Uncovered {
			shown.Uncovered = append(shown.Uncovered, report.LineRange(r))
		}
		t.Coverage = append(t.Coverage, shown)
		if len(c.Uncovered) > 0 && !f.noLint {
			t.Lint = append(t.Lint, report.LintFinding{File: shown.File, Line: c.Uncovered[0].First, Column: 1, ID: engine.LintCoverage,
				Reason: fmt.Sprintf("tests reach %.1f%% of the rule", c.Percent), Fix: "test the lines shown above, or remove them"})
		}
	}
	return nil
}

func regoTest(r engine.TestResult, folders ruleFolders) report.Test {
	suite, _, _ := strings.Cut(r.Name, ".test_")
	suite, _, _ = strings.Cut(suite, ".todo_test_")
	out := report.Test{Suite: strings.TrimPrefix(suite, "data."), Name: r.Name, File: folders.display(r.File), Line: r.Line,
		Seconds: r.Duration.Seconds(), Status: report.TestFailed, Reason: r.Reason, Output: r.Output}
	switch {
	case r.Skipped:
		out.Status = report.TestSkipped
	case r.Passed:
		out.Status = report.TestPassed
	}
	var texts []string
	for _, failure := range r.Failures {
		texts = append(texts, report.FailureText(failure, folders.display(failure.File)))
	}
	if len(texts) > 0 {
		out.Reason = strings.Join(texts, "\n")
	}
	return out
}

// runCorpus runs cases.
func (f *testFlags) runCorpus(command *cobra.Command, t *report.Tests) error {
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
	if len(problems) > 0 {
		fmt.Fprintln(command.ErrOrStderr(), printable(profile.Problems(problems).Error()))
	}
	t.Tests = append(t.Tests, problemTests(problems)...)
	for _, r := range results {
		t.Tests = append(t.Tests, corpusTest(r))
	}
	return nil
}

func corpusTest(r corpus.Result) report.Test {
	out := report.Test{Suite: filepath.Dir(r.Case.File), Name: r.Case.ID, Title: r.Case.Title, File: r.Case.File, Status: string(r.Status)}
	switch r.Status {
	case corpus.Passed:
	case corpus.Skipped:
		out.Reason = r.Reason
	default:
		out.Status, out.Reason = report.TestFailed, corpusFailure(r)
	}
	return out
}

func corpusFailure(r corpus.Result) string {
	lines := []string{
		"in       " + r.Case.File,
		fmt.Sprintf("expected %s, about %s", r.Case.Expect, strings.Join(r.Case.About, ", ")),
		fmt.Sprintf("got      %s: %s", r.Got, r.Reason),
	}
	for _, f := range r.Findings {
		lines = append(lines, fmt.Sprintf("%-8s %s: %s", f.Effect, f.Policy, f.Message))
		if f.Field != "" {
			lines = append(lines, "         at "+f.Field)
		}
	}
	return strings.Join(lines, "\n")
}
