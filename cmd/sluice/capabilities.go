package main

import (
	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/engine"
)

func newCapabilitiesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "capabilities",
		Short: "Print what rules may call, for editors and opa check",
		Long: `Capabilities prints an OPA capabilities file: the language and built-in functions that rules may use,
and the functions under sluice that Sluice adds.`,
		Example: `  sluice capabilities > capabilities.json
  opa check --strict --capabilities capabilities.json policies/`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			text, err := engine.Capabilities()
			if err == nil {
				_, err = command.OutOrStdout().Write(text)
			}
			return unjudged(err)
		},
	}
}
