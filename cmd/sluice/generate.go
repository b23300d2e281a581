package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/dryrun"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

type generateFlags struct {
	policyFlags
	objectFlags
	files  []string
	dryRun bool
	output string
}

func newGenerateCommand() *cobra.Command {
	f := generateFlags{output: report.FormatText}
	command := &cobra.Command{
		Use:   "generate -f FILE",
		Short: "Print what generate policies would produce",
		Long: `Generate prints, as YAML, the objects that policies would make exist because the given objects exist,
such as the default deny of a new namespace.

With --dry-run it says instead what that would do to a cluster that lives. Give it the Namespaces, Pods
and NetworkPolicies that exist: for each Namespace it prints which objects are new, or change one that
exists, and which pods lose traffic that is open to them today, with an example. Generated objects come
to namespaces that are created after their policy; this is as if those that exist were created now. It
is told as far as NetworkPolicies tell. Of pods that don't run now, such as a CronJob's, nothing is
known. If no Namespace has Pods, it is told of the labels that pods could have, as sluice diff does. A
generated object of another kind that may close traffic, such as a CiliumNetworkPolicy, is named and
not judged. What a policy would generate that only warns is named, too.

Exit code 1 of a dry run means that traffic is closed, or may be where it is too complicated to tell, 2
that something could not be judged: input that is not valid, of which then nothing is compared, a policy
that failed, or an object that closes what NetworkPolicies don't tell.` + policyHelp,
		Example: `  sluice generate -f namespace.yaml
  sluice generate -f namespace.yaml | kubectl apply -f -
  kubectl get namespaces,pods,networkpolicies -A -o yaml | sluice generate --dry-run -f -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("name files by -f, as for kubectl: -f %s", args[0])
			}
			return nil
		},
		RunE: func(command *cobra.Command, _ []string) error { return f.run(command) },
	}
	command.Flags().StringArrayVarP(&f.files, "filename", "f", nil, "`FILE`, folder or - with the objects (repeatable)")
	_ = command.MarkFlagRequired("filename") // it fails only for a flag that isn't there
	command.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what the objects would change in the cluster that the files describe")
	addChoice(command, &f.output, "output", "o", "format of a dry run", report.DiffFormats()...)
	f.policyFlags.add(command, "restricted")
	f.objectFlags.add(command)
	return command
}

func (f *generateFlags) run(command *cobra.Command) error {
	if !f.dryRun && command.Flags().Changed("output") {
		return errors.New("--output is the format of --dry-run: give both, or leave it out to print the objects as YAML")
	}
	set, err := f.load()
	if err != nil {
		return unjudged(err)
	}
	if f.dryRun {
		return f.runDry(command, set)
	}
	generated, r, err := check.Generate(command.Context(), check.Options{
		Policies: set, Paths: f.files, Stdin: command.InOrStdin(), State: f.state, Namespace: f.namespace,
	})
	if err != nil {
		return unjudged(err)
	}
	var out bytes.Buffer
	for _, g := range generated {
		text, err := json.Marshal(g.Object)
		if err != nil {
			return unjudged(err)
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			return unjudged(err)
		}
		fmt.Fprintf(&out, "---\n# by the policy %s\n%s", printable(g.Policy), text)
	}
	if _, err := command.OutOrStdout().Write(out.Bytes()); err != nil {
		return unjudged(err)
	}
	if len(r.Results) > 0 {
		r.Patched = nil
		stderr := command.ErrOrStderr()
		if err := report.Write(stderr, report.FormatText, r, report.TextOptions{Color: wantsColor(stderr)}); err != nil {
			return unjudged(err)
		}
	}
	if r.Summary.Errors > 0 {
		return exit(check.ExitUnjudged)
	}
	return nil
}

func (f *generateFlags) runDry(command *cobra.Command, set *profile.Set) error {
	progress := newProgress(command.ErrOrStderr(), "namespaces")
	d, err := dryrun.Run(command.Context(), dryrun.Options{
		Policies: set, Paths: f.files, Stdin: command.InOrStdin(), State: f.state, Namespace: f.namespace, Progress: progress.step,
	})
	progress.end()
	if err != nil {
		return unjudged(err)
	}
	stdout := command.OutOrStdout()
	if err := report.WriteDryRun(stdout, f.output, d, report.TextOptions{Color: wantsColor(stdout)}); err != nil {
		return unjudged(err)
	}
	return exit(dryrun.ExitCode(d))
}
