package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestStagingModulesHaveTheVersionOfKubernetes(t *testing.T) {
	versions, err := readVersions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mod, err := readModule(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(versions.kubernetes, "v1.", "v0.", 1)
	for _, r := range mod.Replace {
		if strings.HasPrefix(r.Old.Path, "k8s.io/") && (r.New.Path != r.Old.Path || r.New.Version != want) {
			t.Errorf("%s is replaced by %s %s, want %s", r.Old.Path, r.New.Path, r.New.Version, want)
		}
	}
	for _, c := range components {
		if !slices.ContainsFunc(mod.Tool, func(tool struct{ Path string }) bool { return tool.Path == c.pkg }) {
			t.Errorf("%s is no tool of this module, so go mod tidy would drop what it needs", c.pkg)
		}
	}
}

func TestLinkerFlags(t *testing.T) {
	got := linkerFlags("v1.37.2")
	for _, want := range []string{
		"-s -w",
		"-X k8s.io/component-base/version.gitVersion=v1.37.2",
		"-X k8s.io/component-base/version.gitMinor=37",
		"-X k8s.io/client-go/pkg/version.gitMajor=1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestMissingFrom(t *testing.T) {
	dir := t.TempDir()
	writeBinary(t, dir, etcd, "a")
	writeBinary(t, dir, kubectl, "a")
	if err := os.Chmod(filepath.Join(dir, kubectl), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, apiServer), 0o755); err != nil {
		t.Fatal(err)
	}
	want := []string{apiServer, controllerManager, kubectl}
	if got := missingFrom(dir); !reflect.DeepEqual(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
}

func TestStampCovers(t *testing.T) {
	pinned := versions{checksum: "1"}
	wanted := []component{{name: etcd}}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		pinned versions
		want   string
	}{
		{name: "unchanged", pinned: pinned, want: ""},
		{name: "pinned differently", pinned: versions{checksum: "2"}, want: "go.mod or go.sum changed"},
		{name: "no stamp", pinned: pinned, want: "nothing there was checked yet",
			change: func(t *testing.T, dir string) { remove(t, stampPath(dir)) }},
		{name: "damaged stamp", pinned: pinned, want: "nothing there was checked yet",
			change: func(t *testing.T, dir string) { writeBinary(t, dir, ".stamp.json", `{"checksum":"1"`) }},
		{name: "another platform", pinned: pinned, want: "it is for plan9/arm",
			change: func(t *testing.T, dir string) {
				writeBinary(t, dir, ".stamp.json", `{"checksum":"1","platform":"plan9/arm"}`)
			}},
		{name: "binary removed", pinned: pinned, want: "etcd is missing",
			change: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, etcd)) }},
		{name: "binary cut short", pinned: pinned, want: "etcd is not the file that was checked",
			change: func(t *testing.T, dir string) { writeBinary(t, dir, etcd, "e") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeBinary(t, dir, etcd, "etcd")
			if err := writeStamp(dir, pinned, wanted); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(t, dir)
			}
			got := ""
			if err := readStamp(dir).covers(dir, test.pinned, wanted); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPrepareStampsOnlyWhatRuns(t *testing.T) {
	wanted := []component{{name: etcd}}
	const works, broken = "#!/bin/sh\nexit 0\n", "#!/bin/sh\necho no >&2; exit 3\n"
	tests := []struct {
		name, script string
		fetchErr     error
		wantErr      string
	}{
		{name: "works", script: works},
		{name: "does not run", script: broken, wantErr: "etcd --version: exit status 3: no"},
		{name: "is not fetched", script: works, fetchErr: errors.New("no disk"), wantErr: "no disk"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bin")
			_, err := prepare(t.Context(), dir, versions{checksum: "1"}, wanted, &bytes.Buffer{}, func() error {
				writeBinary(t, dir, etcd, test.script)
				return test.fetchErr
			})
			if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("got %v, want %q", err, test.wantErr)
			}
			if covered := readStamp(dir).covers(dir, versions{checksum: "1"}, wanted) == nil; covered != (err == nil) {
				t.Errorf("stamped: %v after %v", covered, err)
			}
		})
	}
}

func TestPrepareRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	writeBinary(t, dir, ".etcd.1.tmp", "half")
	_, err := prepare(t.Context(), dir, versions{checksum: "1"}, nil, &bytes.Buffer{}, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".etcd.1.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-written file is still there: %v", err)
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(t.Context(), dir, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(ended, dir, &progress); !errors.Is(err, context.Canceled) {
		t.Errorf("second lock: %v", err)
	}
	if !strings.Contains(progress.String(), "another run") {
		t.Errorf("nobody was told: %q", progress.String())
	}
	unlock()
	if _, err := lock(t.Context(), dir, &progress); err != nil {
		t.Errorf("lock after unlock: %v", err)
	}
}

func TestEnsureUsesWhatIsGiven(t *testing.T) {
	given := t.TempDir()
	for _, c := range components {
		writeBinary(t, given, c.name, "a")
	}
	dir := filepath.Join(t.TempDir(), "untouched")
	got, err := ensure(t.Context(), dir, given, &bytes.Buffer{})
	if err != nil || got != given {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it touched its own folder: %v", err)
	}
}

func writeBinary(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
