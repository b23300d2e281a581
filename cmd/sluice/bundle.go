package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/rego"
)

type bundleFlags struct {
	output string
	action string
}

func newBundleCommand() *cobra.Command {
	f := bundleFlags{output: "-", action: string(v1alpha1.ActionDeny)}
	command := &cobra.Command{
		Use:   "bundle [-o FILE] DIR|FILE...",
		Short: "Turn a folder of rules into GatePolicies",
		Long: `Bundle writes a GatePolicy for each rule of a folder, tests aside, for kubectl apply and GitOps. The policy
is named by the rule's id and holds the rule's source as it stands in the file, and those modules of the
folder below data.sluice.lib that the rule imports; what Sluice ships is not repeated.

The policies say what the folder itself says with sluice check --policies. Nothing is written if some
file does not load.`,
		Example: `  sluice bundle policies/ | kubectl apply -f -
  sluice bundle -o rules.yaml policies/
  sluice bundle --action Warn policies/ > observe.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	command.Flags().StringVarP(&f.output, "output", "o", f.output, "`FILE` to write; - is standard output")
	addChoice(command, &f.action, "action", "", "what the policies' findings do",
		string(v1alpha1.ActionDeny), string(v1alpha1.ActionWarn), string(v1alpha1.ActionAudit))
	return command
}

func (f *bundleFlags) run(command *cobra.Command, args []string) error {
	if slices.Contains(args, "-") {
		return errors.New("name files or folders: rules are not read from standard input")
	}
	files, err := profile.ReadRegoFiles(args)
	if err != nil {
		return unjudged(err)
	}
	bundled, err := engine.Bundle(files, libFolder{rego.Rules, files})
	if err != nil {
		return unjudged(profile.Faults(err, files))
	}
	if len(bundled) == 0 {
		return unjudged(fmt.Errorf("no rule in %s: expected .rego files that state deny, warn, patch or generate", strings.Join(args, ", ")))
	}
	var out bytes.Buffer
	for _, b := range bundled {
		if err := writePolicy(&out, b, v1alpha1.Action(f.action)); err != nil {
			return unjudged(fmt.Errorf("%s: %w", files.Display(b.Rule.File), err))
		}
	}
	if f.output == "-" {
		_, err = command.OutOrStdout().Write(out.Bytes())
		return unjudged(err)
	}
	if err := writeWhole(f.output, out.Bytes()); err != nil {
		return unjudged(err)
	}
	_, err = fmt.Fprintf(command.ErrOrStderr(), "wrote %s: %s\n", f.output, counted(len(bundled), "policy", "policies"))
	return unjudged(err)
}

// writeWhole writes a file, or leaves it as it is. What is no file, such as /dev/stdout, is written to.
func writeWhole(name string, text []byte) error {
	switch info, err := os.Stat(name); {
	case err == nil && info.Mode().IsRegular():
		return replaceFile(name, text)
	case err == nil:
		return os.WriteFile(name, text, 0) // it is there
	case name == "":
		return errors.New("the name of the file to write is empty; - is standard output")
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".sluice-*")
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return fmt.Errorf("write %s: %w", name, at.Err)
	}
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
