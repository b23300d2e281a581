// Command controlplane makes sure that kube-apiserver, kube-controller-manager, kubectl and etcd exist as
// binaries for the suites and the demo, and prints the one directory that holds them all.
//
//	go -C test/controlplane run .
//
// It takes the first of: $KUBEBUILDER_ASSETS; bin/controlplane from an earlier run; the binaries that
// setup-envtest downloads; a build with the Go toolchain from the versions that go.mod pins. What it downloads or
// builds is started once before it counts. Only the directory goes to stdout, progress goes to stderr.
// The exit code is 0, or 1 with the reason on stderr.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	defaultDir := filepath.Join("..", "..", "bin", "controlplane")
	dir := flag.String("dir", defaultDir, "where binaries are kept, relative to this module")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	assets, err := ensure(ctx, *dir, os.Getenv("KUBEBUILDER_ASSETS"), os.Stderr)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted: run it again, what is compiled so far is kept")
		}
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(assets)
}

// ensure returns a directory with all four binaries. given is a directory that the user provides, or empty; nothing
// is ever written there.
func ensure(ctx context.Context, dir, given string, progress io.Writer) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", dir, err)
	}
	if given != "" && !sameFolder(given, dir) {
		missing := missingFrom(given)
		if len(missing) == 0 {
			return filepath.Abs(given)
		}
		if len(missing) == 1 && missing[0] == controllerManager {
			return beside(ctx, dir, given, progress)
		}
		fmt.Fprintf(progress, "controlplane: KUBEBUILDER_ASSETS=%s has no %v; looking elsewhere\n", given, missing)
	}

	versions, err := readVersions(ctx)
	if err != nil {
		return "", err
	}
	return prepare(ctx, dir, versions, components, progress, func() error {
		if err := download(ctx, dir, versions.kubernetes); err != nil {
			fmt.Fprintf(progress, "controlplane: no download (%v); building instead\n", err)
			return build(ctx, dir, versions, components, progress)
		}
		fmt.Fprintln(progress, "controlplane: downloaded kube-apiserver, etcd and kubectl with setup-envtest")
		return build(ctx, dir, versions, []component{find(controllerManager)}, progress)
	})
}

// sameFolder keeps a KUBEBUILDER_ASSETS that points at our own folder from vouching for what is stale there.
func sameFolder(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// prepare runs fetch unless dir holds the wanted binaries of these versions already, checks what fetch brought by
// starting it, and stamps it. Two runs at a time share the work: the second waits for the first.
func prepare(
	ctx context.Context, dir string, versions versions, wanted []component, progress io.Writer, fetch func() error,
) (string, error) {
	if readStamp(dir).covers(dir, versions, wanted) == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create the folder for binaries: %w", err)
	}
	unlock, err := lock(ctx, dir, progress)
	if err != nil {
		return "", err
	}
	defer unlock()

	stale := readStamp(dir).covers(dir, versions, wanted)
	if stale == nil {
		return dir, nil
	}
	fmt.Fprintf(progress, "controlplane: %s is not ready: %v\n", dir, stale)
	if err := clearLeftovers(dir); err != nil {
		return "", err
	}
	if err := fetch(); err != nil {
		return "", err
	}
	began := time.Now()
	if err := check(ctx, dir, versions, wanted); err != nil {
		return "", fmt.Errorf("the binaries in %s do not work: %w", dir, err)
	}
	fmt.Fprintf(progress, "controlplane: checked by starting them in %s\n", elapsed(began))
	return dir, writeStamp(dir, versions, wanted)
}

// clearLeftovers removes the old stamp and what runs that were killed left half-written. The caller holds the lock.
func clearLeftovers(dir string) error {
	for _, pattern := range []string{filepath.Base(stampPath(dir)), ".*.tmp", ".download-*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("find leftovers: %w", err)
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("remove leftovers: %w", err)
			}
		}
	}
	return nil
}

// beside returns a directory with links to what the user gave and a kube-controller-manager of our own, which
// the usual bundles of test binaries lack.
func beside(ctx context.Context, dir, given string, progress io.Writer) (string, error) {
	given, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("find KUBEBUILDER_ASSETS: %w", err)
	}
	versions, err := readVersions(ctx)
	if err != nil {
		return "", err
	}
	dir += "-given"
	wanted := []component{find(controllerManager)}
	if _, err := prepare(ctx, dir, versions, wanted, progress, func() error {
		return build(ctx, dir, versions, wanted, progress)
	}); err != nil {
		return "", err
	}
	for _, name := range []string{apiServer, etcd, kubectl} {
		if err := link(filepath.Join(given, name), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// link makes path a symbolic link to target, replacing what was there in one step.
func link(target, path string) error {
	if current, err := os.Readlink(path); err == nil && current == target {
		return nil
	}
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	if err := os.Symlink(target, temporary); err != nil {
		return fmt.Errorf("link %s: %w", target, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("link %s: %w", target, err)
	}
	return nil
}

func elapsed(since time.Time) time.Duration {
	return time.Since(since).Round(time.Second)
}
