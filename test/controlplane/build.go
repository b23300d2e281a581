package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What a build takes in each of the Go caches, and in the folder for binaries: measured from empty caches with
// Kubernetes 1.37 (at most 3.7 GB, 312 MB) and rounded up.
const (
	cacheBytes  = 4 << 30
	binaryBytes = 512 << 20
)

// build compiles the wanted components into dir, one line of progress each. A binary appears under its name only
// when it is whole.
func build(ctx context.Context, dir string, versions versions, wanted []component, progress io.Writer) error {
	if err := spaceForBuild(ctx, dir); err != nil {
		return err
	}
	began := time.Now()
	for i, c := range wanted {
		fmt.Fprintf(progress, "controlplane: [%d/%d] building %s ...\n", i+1, len(wanted), c.name)
		start := time.Now()
		if err := buildOne(ctx, dir, versions, c); err != nil {
			return fmt.Errorf("build %s after %s: %w", c.name, elapsed(start), err)
		}
		fmt.Fprintf(progress, "controlplane: [%d/%d] built %s in %s (%s in all)\n",
			i+1, len(wanted), c.name, elapsed(start), elapsed(began))
	}
	return nil
}

func buildOne(ctx context.Context, dir string, versions versions, c component) error {
	temporary := filepath.Join(dir, fmt.Sprintf(".%s.%d.tmp", c.name, os.Getpid()))
	defer os.Remove(temporary) // fails when the rename below has happened, as it should

	cmd := exec.CommandContext(ctx, "go", "build",
		"-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", linkerFlags(versions.kubernetes),
		"-o", temporary, c.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(output.String(), 20))
	}
	if err := os.Rename(temporary, filepath.Join(dir, c.name)); err != nil {
		return fmt.Errorf("put it in place: %w", err)
	}
	return nil
}

// linkerFlags leaves out symbol tables and tells the programs their version, as the release build of Kubernetes
// does: without it they call themselves v0.0.0-master and refuse emulated versions.
func linkerFlags(version string) string {
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags, "-X", pkg+".gitVersion="+version, "-X", pkg+".gitTreeState=archive")
		if len(numbers) > 1 {
			flags = append(flags, "-X", pkg+".gitMajor="+numbers[0], "-X", pkg+".gitMinor="+numbers[1])
		}
	}
	return strings.Join(flags, " ")
}

// spaceForBuild refuses to begin a build of minutes that the disk has no room for.
func spaceForBuild(ctx context.Context, dir string) error {
	output, err := exec.CommandContext(ctx, "go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("find the Go caches: %w", err)
	}
	needs := map[string]uint64{dir: binaryBytes}
	for cache := range strings.Lines(string(output)) {
		needs[strings.TrimSpace(cache)] = cacheBytes
	}
	for path, need := range needs {
		free, err := freeBytes(path)
		if err != nil {
			return fmt.Errorf("measure the free space of %s: %w", path, err)
		}
		if free < need {
			return fmt.Errorf("no room to build: %s has %d MB free, a build may take %d MB", path, free>>20, need>>20)
		}
	}
	return nil
}

// freeBytes measures the file system that holds path, or would hold it once it is created.
func freeBytes(path string) (uint64, error) {
	for {
		var stat syscall.Statfs_t
		err := syscall.Statfs(path, &stat)
		if err == nil {
			return uint64(stat.Bavail) * uint64(stat.Bsize), nil
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, os.ErrNotExist) || parent == path {
			return 0, err
		}
		path = parent
	}
}

// lastLines returns the end of a program's output, where the reason for a failure usually stands.
func lastLines(output string, n int) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
