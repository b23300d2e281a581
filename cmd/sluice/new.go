package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/scaffold"
)

func newNewCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "new",
		Short:   "Begin something new, such as a rule",
		Example: "  sluice new rule networkpolicy/my-rule",
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("say what is to be new: sluice new rule AREA/NAME")
		},
		Args: cobra.NoArgs,
	}
	command.AddCommand(newNewRuleCommand())
	return command
}

func newNewRuleCommand() *cobra.Command {
	var o scaffold.Options
	command := &cobra.Command{
		Use:   "rule AREA/NAME",
		Short: "Write a rule and a test that passes, to begin with",
		Long: `Rule writes a small rule with complete METADATA, a parameter and a test: they pass sluice test, which then
says what your changes break. The area says which kind the rule judges: ingress, networkpolicy, service,
namespace or gateway; any other area needs --kind. Nothing is ever overwritten.`,
		Example: `  sluice new rule networkpolicy/my-rule
  sluice new rule team/owner --kind apps/Deployment --dir policies`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			o.Name = args[0]
			if o.Dir == "" {
				o.Dir = rulesDir()
			}
			files, err := scaffold.Rule(o)
			if err != nil {
				return unjudged(err)
			}
			folder := filepath.Dir(files[0])
			var out strings.Builder
			for _, file := range files {
				fmt.Fprintln(&out, "wrote "+file)
			}
			fmt.Fprintf(&out, `
Next: change the rule and its test, and run
  sluice test --watch %s
then see what it says of your manifests:
  sluice check --policies %s FILE...
`, folder, folder)
			_, err = fmt.Fprint(command.OutOrStdout(), printable(out.String()))
			return unjudged(err)
		},
	}
	command.Flags().StringVar(&o.Dir, "dir", "", "folder `DIR` to write AREA/NAME below (default rego if there is such a folder, else the working directory)")
	command.Flags().StringVar(&o.Kind, "kind", "", "kind `GROUP/KIND` to judge, bare for the core group: apps/Deployment, ConfigMap")
	return command
}

// rulesDir is where this repository keeps its rules.
func rulesDir() string {
	if info, err := os.Stat("rego"); err == nil && info.IsDir() {
		return "rego"
	}
	return "."
}
