package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

type checkFlags struct {
	policyFlags
	objectFlags
	old       []string
	operation string
	output    string
	failOn    string
	strict    bool
	dataplane string
	explain   string
	object    string
}

func newCheckCommand() *cobra.Command {
	f := checkFlags{output: report.FormatText, failOn: string(check.FailOnDeny)}
	command := &cobra.Command{
		Use:   "check FILE|DIR|-...",
		Short: "Judge manifests as the API server would store them",
		Long: `Check judges manifests as the API server would store them: with its defaults, then the patches of
the policies, then their rules. Objects are judged in order, and each exists for those that follow.
Namespaces that are created come first, wherever they stand, each with the objects that policies
generate in it, such as a default deny. The results are in the order of the files.

An object that --state or --old holds is judged as an UPDATE of it, any other as a CREATE, unless
--operation says what happens to all of them. Nothing is generated in Namespaces that exist already. An
object that is also generated is judged as an UPDATE of that, with a warning if the two differ.

What is no Kubernetes object and what no policy judges is counted in the last line, and is an error
with --strict. Exit code 1 means that a finding fails the check, 2 that something could not be
judged: input that is not valid, or a policy that needs what nobody gave, such as the labels of a
namespace.

With --explain the one policy and one object are judged as ever, and what is printed is how: each
expression of the policy's rule with its line, ✓ if it held, ✗ if it failed, · if it was not reached,
with the values of its variables, and with the helper because of which it failed. The exit code is
about this policy and this object.` + policyHelp,
		Example: `  sluice check deploy/
  helm template shop ./chart | sluice check --namespace shop -
  sluice check --profile restricted --state cluster.yaml deploy/
  sluice check --old before.yaml after.yaml
  sluice check --operation DELETE --state cluster.yaml obsolete.yaml
  sluice check --profile none --policies policies/ -o sarif deploy/
  sluice check --dataplane cilium deploy/
  sluice check --explain ingress-tls-required --object Ingress/shop/web deploy/`,
		Args: someInput,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	f.policyFlags.add(command, "baseline")
	f.objectFlags.add(command)
	command.Flags().StringArrayVar(&f.old, "old", nil, "file or folder at `PATH` with objects as they are before the update (repeatable)")
	addChoice(command, &f.operation, "operation", "", "what happens to every object",
		string(engine.Create), string(engine.Update), string(engine.Delete))
	addChoice(command, &f.output, "output", "o", "format of the results", report.Formats()...)
	addChoice(command, &f.failOn, "fail-on", "", "the weakest finding that fails the check", string(check.FailOnDeny), string(check.FailOnWarn))
	command.Flags().StringVar(&f.dataplane, "dataplane", "", dataplaneUsage+"; auto looks for it in --state")
	command.Flags().BoolVar(&f.strict, "strict", false, "what no policy judges is an error")
	command.Flags().StringVar(&f.explain, "explain", "", "show which expressions of the policy `NAME` held and which failed, for one object")
	command.Flags().StringVar(&f.object, "object", "", "the object to explain, as `KIND/NAME` or KIND/NAMESPACE/NAME")
	return command
}

func (f *checkFlags) run(command *cobra.Command, args []string) error {
	if f.object != "" && f.explain == "" {
		return errors.New("--object chooses what --explain explains: give both")
	}
	set, err := f.load()
	if err != nil {
		return f.badPolicies(command.OutOrStdout(), err)
	}
	if err := set.TellDataplane(f.dataplane); err != nil {
		return fmt.Errorf("--dataplane: %w", err)
	}
	progress := newProgress(command.ErrOrStderr(), "objects")
	o := check.Options{
		Policies: set, Paths: args, Stdin: command.InOrStdin(), State: f.state, Old: f.old,
		Operation: engine.Operation(f.operation), Namespace: f.namespace, Strict: f.strict,
		ToolVersion: readVersion().Version, Progress: progress.step,
	}
	if f.explain != "" {
		return f.runExplain(command, set, o)
	}
	r, err := check.Run(command.Context(), o)
	progress.end()
	if err != nil {
		return f.badPolicies(command.OutOrStdout(), err)
	}
	if err := f.print(command.OutOrStdout(), r); err != nil {
		return unjudged(err)
	}
	return exit(check.ExitCode(r, check.FailOn(f.failOn)))
}

func (f *checkFlags) print(w io.Writer, r report.Report) error {
	return report.Write(w, f.output, r, report.TextOptions{Color: wantsColor(w)})
}

// badPolicies is the end of a check that judged nothing. Formats that a program reads have the problems too.
func (f *checkFlags) badPolicies(w io.Writer, err error) error {
	var problems profile.Problems
	if f.output == report.FormatText || !errors.As(err, &problems) {
		return unjudged(err)
	}
	r := report.Report{ToolVersion: readVersion().Version}
	for _, p := range problems {
		r.Results = append(r.Results, report.Result{
			File: p.File, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Action: report.ActionError,
		})
	}
	r.Summary.Errors = len(problems)
	return unjudged(errors.Join(err, f.print(w, r)))
}
