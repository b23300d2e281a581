package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// toolTimeout bounds compiling setup-envtest itself, from empty caches.
	toolTimeout = time.Minute
	// indexTimeout bounds finding out whether there is a network and a bundle for our version. It is short because
	// the build is always possible.
	indexTimeout = 15 * time.Second
	// bundleTimeout bounds the download itself, some 100 MB, once the index has answered.
	bundleTimeout = 5 * time.Minute
)

// download puts kube-apiserver, etcd and kubectl of the same Kubernetes minor version into dir. The error is one
// line that says why it could not.
func download(ctx context.Context, dir, version string) error {
	numbers := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(numbers) < 3 {
		return fmt.Errorf("no release version: %s", version)
	}
	minor := numbers[0] + "." + numbers[1] + ".x"
	store, err := os.MkdirTemp(dir, ".download-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer os.RemoveAll(store)

	tool := filepath.Join(store, "setup-envtest")
	if _, err := run(ctx, toolTimeout, "go", "build", "-mod=readonly", "-buildvcs=false", "-o", tool,
		"sigs.k8s.io/controller-runtime/tools/setup-envtest"); err != nil {
		return fmt.Errorf("setup-envtest does not build: %w", err)
	}
	index, err := run(ctx, indexTimeout, tool, "list", "--bin-dir", store, minor)
	if err != nil {
		return err
	}
	if !strings.Contains(index, "v"+numbers[0]+"."+numbers[1]+".") {
		return fmt.Errorf("setup-envtest knows no %s", minor)
	}
	bundle, err := run(ctx, bundleTimeout, tool, "use", "--bin-dir", store, "-p", "path", minor)
	if err != nil {
		return err
	}
	for _, name := range []string{etcd, apiServer, kubectl} {
		if err := os.Rename(filepath.Join(strings.TrimSpace(bundle), name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("take %s from the download: %w", name, err)
		}
	}
	return nil
}

// run returns what the command printed on stdout. Its error is one line.
func run(ctx context.Context, timeout time.Duration, name string, args ...string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, name, args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	what := filepath.Base(name) + " " + args[0]
	switch {
	case err == nil:
		return stdout.String(), nil
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("%s: no answer in %s", what, timeout)
	default:
		return "", fmt.Errorf("%s: %s", what, strings.Join(strings.Fields(lastLines(stderr.String(), 3)), " "))
	}
}
