package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/spelling"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	command, err := root.ExecuteContextC(ctx)
	return conclude(command, err, s.err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Judge Kubernetes network objects by what they mean",
		Long: `Sluice judges Ingresses, NetworkPolicies and Services by what they mean: which hosts they claim,
which traffic they open, which pods they leave unprotected. The same policies decide here and in
kubectl apply.

Exit codes: 0 fine, 1 judged and not fine, 2 could not judge.`,
		Example: `  sluice check deploy/             judge the manifests in a folder
  sluice fix --diff deploy/        show what the policies would repair
  sluice rules                     list the rules`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(suggestFlag)
	root.AddCommand(
		newCheckCommand(), newFixCommand(), newTestCommand(), newRulesCommand(), newCapabilitiesCommand(),
		newGenerateCommand(), newDiffCommand(), newServeCommand(), newVersionCommand(),
		newBundleCommand(), newLintCommand(), newNewCommand(),
	)
	return root
}

// exitError ends a command. Any other error that a command returns is one of usage.
type exitError struct {
	code int
	err  error // nil if everything has been said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit code " + strconv.Itoa(e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// unjudged is the end of a command that could not do its work.
func unjudged(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{check.ExitUnjudged, err}
}

// exit ends a command that has said everything.
func exit(code int) error {
	if code == check.ExitClean {
		return nil
	}
	return &exitError{code: code}
}

// conclude prints what a command failed with, and returns the exit code.
func conclude(command *cobra.Command, err error, stderr io.Writer) int {
	if err == nil {
		return check.ExitClean
	}
	var ended *exitError
	if !errors.As(err, &ended) {
		fmt.Fprintf(stderr, "Error: %s\nRun '%s --help' for usage.\n", printable(strings.TrimSpace(err.Error())), command.CommandPath())
		return check.ExitUnjudged
	}
	var problems profile.Problems
	switch {
	case ended.err == nil:
	case errors.As(ended.err, &problems):
		fmt.Fprintln(stderr, printable(problems.Error()))
	default:
		fmt.Fprintln(stderr, "Error: "+printable(ended.err.Error()))
	}
	return ended.code
}

// suggestFlag adds the flag that was probably meant, as cobra does for commands.
func suggestFlag(command *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	var names []string
	command.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	best := spelling.Nearest(unknown.GetSpecifiedName(), names)
	if best == "" {
		return err
	}
	return fmt.Errorf("%w\n\nDid you mean this?\n\t--%s", err, best)
}

// printable shows what would otherwise move a terminal's cursor: file names and messages may come from a
// stranger's pull request.
func printable(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return out.String()
}
