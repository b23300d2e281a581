package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/profile"
)

// choice is a flag with one of a few values.
type choice struct {
	value   *string
	allowed []string
}

// Set implements pflag.Value. The spelling of the allowed value counts, not its case.
func (c choice) Set(text string) error {
	i := slices.IndexFunc(c.allowed, func(a string) bool { return strings.EqualFold(a, text) })
	if i < 0 {
		return fmt.Errorf("must be one of %s", strings.Join(c.allowed, ", "))
	}
	*c.value = c.allowed[i]
	return nil
}

// String implements pflag.Value.
func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Type implements pflag.Value; help shows it.
func (c choice) Type() string { return strings.Join(c.allowed, "|") }

// someInput refuses a command without files: it would otherwise wait for standard input, or find nothing.
func someInput(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name files, folders, or - for standard input")
	}
	return nil
}

// addChoice adds a flag with one of a few values, and its completion.
func addChoice(command *cobra.Command, value *string, name, shorthand, usage string, allowed ...string) {
	command.Flags().VarP(choice{value, allowed}, name, shorthand, usage)
	// It fails only for a flag that isn't there.
	_ = command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

// dataplaneUsage is the help of --dataplane.
const dataplaneUsage = "what enforces NetworkPolicies, by its `NAME`, for the policies of networkpolicy-dataplane that don't say it themselves"

// policyHelp is what the help of a command with policyFlags ends with.
const policyHelp = `

A GatePolicy of --policies replaces the profile's of the same name. A rule of --policies that none of
their GatePolicies names becomes a policy of its own that denies.`

// policyFlags choose policies.
type policyFlags struct {
	profile  string
	policies []string
}

func (f *policyFlags) add(command *cobra.Command, defaultProfile string) {
	f.profile = defaultProfile
	addChoice(command, &f.profile, "profile", "", "shipped policies to begin with", profile.Names()...)
	command.Flags().StringArrayVar(&f.policies, "policies", nil,
		"file or folder at `PATH` with policies of your own: GatePolicy and GateException YAML, .rego rules (repeatable)")
}

func (f *policyFlags) load() (*profile.Set, error) {
	if f.profile == profile.None && len(f.policies) == 0 {
		return nil, errors.New("there are no policies: --profile none needs --policies")
	}
	set, err := profile.Load(profile.Options{Name: f.profile, Paths: f.policies})
	if err == nil && len(set.Policies) == 0 {
		return nil, errors.New("there are no policies: --profile none, and neither a GatePolicy nor a rule in --policies")
	}
	return set, err
}

// objectFlags say what surrounds the objects of a command.
type objectFlags struct {
	namespace string
	state     []string
}

func (f *objectFlags) add(command *cobra.Command) {
	command.Flags().StringVarP(&f.namespace, "namespace", "n", "", `namespace `+"`NAME`"+` of objects that name none (default "default")`)
	command.Flags().StringArrayVar(&f.state, "state", nil, "file or folder at `PATH` with objects that already exist, such as Namespaces (repeatable)")
}
