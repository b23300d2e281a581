package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// linkedVersion and linkedCommit are set by the linker (-X main.linkedVersion=v1.2.3) where the build has no
// version control to ask; nothing else writes them.
var linkedVersion, linkedCommit string

// versions is what this program is made of.
type versions struct {
	Version    string `json:"version"`
	Commit     string `json:"commit"`
	OPA        string `json:"opa"`
	Kubernetes string `json:"kubernetes"` // of the API types
}

const unknownVersion = "unknown"

func readVersion() versions {
	v := versions{Version: "devel", Commit: unknownVersion, OPA: unknownVersion, Kubernetes: unknownVersion}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.read(info)
	}
	if linkedVersion != "" {
		v.Version = linkedVersion
	}
	if linkedCommit != "" {
		v.Commit = linkedCommit
	}
	return v
}

func (v *versions) read(info *debug.BuildInfo) {
	if version := info.Main.Version; version != "" && version != "(devel)" {
		v.Version = version
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if modified {
		v.Commit += " (modified)"
	}
	for _, module := range info.Deps {
		switch module.Path {
		case "github.com/open-policy-agent/opa":
			v.OPA = module.Version
		case "k8s.io/api": // v0.37.2 holds the API of Kubernetes v1.37.2
			v.Kubernetes = strings.Replace(module.Version, "v0.", "v1.", 1)
		}
	}
}

func newVersionCommand() *cobra.Command {
	output := "text"
	command := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of Sluice, OPA and the Kubernetes API",
		Example: "  sluice version\n  sluice version -o json",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			v := readVersion()
			if output == "json" {
				encoder := json.NewEncoder(command.OutOrStdout())
				encoder.SetIndent("", "  ")
				return unjudged(encoder.Encode(v))
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "sluice %s\ncommit %s\nOPA %s\nKubernetes API %s\n", v.Version, v.Commit, v.OPA, v.Kubernetes)
			return unjudged(err)
		},
	}
	addChoice(command, &output, "output", "o", "format", "text", "json")
	return command
}
