package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module = "github.com/sluice-gate/sluice/test/controlplane"

	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	kubectl           = "kubectl"
	etcd              = "etcd"

	kubernetesModule = "k8s.io/kubernetes"
	etcdModule       = "go.etcd.io/etcd/server/v3"
)

// component is one program of the control plane: its file name and the main package it is built from, which is a
// tool of this module.
type component struct{ name, pkg string }

// components is what a complete directory holds, in the order in which they are built: the quickest first, so that
// a broken set-up shows soon.
var components = []component{
	{etcd, etcdModule},
	{apiServer, kubernetesModule + "/cmd/kube-apiserver"},
	{controllerManager, kubernetesModule + "/cmd/kube-controller-manager"},
	{kubectl, kubernetesModule + "/cmd/kubectl"},
}

func find(name string) component {
	for _, c := range components {
		if c.name == name {
			return c
		}
	}
	panic("no component " + name)
}

// missingFrom names the components that dir has no executable file for.
func missingFrom(dir string) []string {
	var missing []string
	for _, c := range components {
		info, err := os.Stat(filepath.Join(dir, c.name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// versions says what go.mod pins: the versions with their leading v, and a checksum of go.mod and go.sum that
// changes when anything is pinned differently.
type versions struct{ kubernetes, etcd, checksum string }

// readVersions reads the go.mod of the working directory, which must be this module.
func readVersions(ctx context.Context) (versions, error) {
	mod, err := readModule(ctx)
	if err != nil {
		return versions{}, err
	}
	if mod.Module.Path != module {
		return versions{}, fmt.Errorf("run it in its module (go -C test/controlplane run .), not in %q", mod.Module.Path)
	}
	var v versions
	for _, r := range mod.Require {
		switch r.Path {
		case kubernetesModule:
			v.kubernetes = r.Version
		case etcdModule:
			v.etcd = r.Version
		}
	}
	if v.kubernetes == "" || v.etcd == "" {
		return versions{}, fmt.Errorf("go.mod requires no %s or no %s", kubernetesModule, etcdModule)
	}
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return versions{}, fmt.Errorf("read the pinned versions: %w", err)
		}
		sum.Write(content)
	}
	v.checksum = hex.EncodeToString(sum.Sum(nil))
	return v, nil
}

type moduleFile struct {
	Module  struct{ Path string }
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
	Tool []struct{ Path string }
}

func readModule(ctx context.Context) (moduleFile, error) {
	var mod moduleFile
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	content, err := cmd.Output()
	if err != nil {
		return mod, fmt.Errorf("read go.mod: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	if err := json.Unmarshal(content, &mod); err != nil {
		return mod, fmt.Errorf("read go.mod: %w", err)
	}
	return mod, nil
}
