package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/report"
)

type generateFlags struct {
	policyFlags
	objectFlags
	files []string
}

func newGenerateCommand() *cobra.Command {
	var f generateFlags
	command := &cobra.Command{
		Use:   "generate -f FILE",
		Short: "Print what generate policies would produce",
		Long: `Generate prints, as YAML, the objects that policies would make exist because the given objects exist,
such as the default deny of a new namespace.` + policyHelp,
		Example: `  sluice generate -f namespace.yaml
  sluice generate -f namespace.yaml | kubectl apply -f -`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return f.run(command) },
	}
	command.Flags().StringArrayVarP(&f.files, "filename", "f", nil, "`FILE`, folder or - with the objects (repeatable)")
	_ = command.MarkFlagRequired("filename") // it fails only for a flag that isn't there
	f.policyFlags.add(command, "restricted")
	f.objectFlags.add(command)
	return command
}

func (f *generateFlags) run(command *cobra.Command) error {
	set, err := f.load()
	if err != nil {
		return unjudged(err)
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
