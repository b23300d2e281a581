package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/diff"
	"github.com/sluice-gate/sluice/policies/report"
)

type diffFlags struct {
	namespace string
	output    string
}

func newDiffCommand() *cobra.Command {
	f := diffFlags{output: report.FormatText}
	command := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Print the traffic that manifests open and close",
		Long: `Diff compares the NetworkPolicies of two files or folders by what they allow: the traffic that NEW opens
against OLD, and the traffic that it closes, with an example of each. Two spellings of the same are the
same, and what another policy of the namespace allows anyway is neither opened nor closed.

Each side has to be whole: a policy that one side lacks has been deleted there, and pods that no policy
of their namespace isolates may do everything. Selectors are judged by the labels that could exist, so
that pods, and Namespaces that come or go, make no difference. A Namespace that both sides have, with
other labels, does. An ipBlock is about addresses outside of the cluster, never about pods; whether it
also lets through pods that have them depends on the dataplane. A named port may be any port.

Exit code 1 means that traffic is opened, or may be where it is too complicated to tell, 2 that something
could not be read; then nothing is compared.`,
		Example: `  sluice diff deployed/ deploy/
  git show main:deploy/policies.yaml | sluice diff - deploy/policies.yaml
  sluice diff <(kustomize build staging) <(kustomize build production)`,
		Args: twoInputs,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	command.Flags().StringVarP(&f.namespace, "namespace", "n", "", `namespace `+"`NAME`"+` of objects that name none (default "default")`)
	addChoice(command, &f.output, "output", "o", "format of the results", report.DiffFormats()...)
	return command
}

func twoInputs(_ *cobra.Command, args []string) error {
	switch {
	case len(args) != 2:
		return errors.New("name two files or folders: OLD and NEW")
	case args[0] == "-" && args[1] == "-":
		return errors.New("standard input can be OLD or NEW, not both")
	}
	return nil
}

func (f *diffFlags) run(command *cobra.Command, args []string) error {
	progress := newProgress(command.ErrOrStderr(), "namespaces")
	d, err := diff.Run(command.Context(), diff.Options{
		Old: args[0], New: args[1], Stdin: command.InOrStdin(), Namespace: f.namespace, Progress: progress.step,
	})
	progress.end()
	if err != nil {
		return unjudged(err)
	}
	stdout := command.OutOrStdout()
	if err := report.WriteDiff(stdout, f.output, d, report.TextOptions{Color: wantsColor(stdout)}); err != nil {
		return unjudged(err)
	}
	switch {
	case d.Summary.Errors > 0:
		return exit(check.ExitUnjudged)
	case d.Summary.Opened > 0:
		return exit(check.ExitFindings)
	}
	return nil
}
