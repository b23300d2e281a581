package decisionlog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-gate/sluice/policies/engine"
)

// openAt is a log to a real file.
func openAt(t *testing.T, path string) (f fixture, told func() string) {
	t.Helper()
	f = fixture{registry: prometheus.NewRegistry(), said: &bytes.Buffer{}}
	var mu sync.Mutex
	var err error
	f.Log, err = Open(Options{Output: path, Registerer: f.registry, Log: funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		f.said.WriteString(args + "\n")
	}, funcr.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, f.Log) })
	return f, func() string { mu.Lock(); defer mu.Unlock(); return f.said.String() }
}

// loses adds lines to a log that has no room, and expects that this is counted and said.
func (f fixture) loses(t *testing.T, told func() string) {
	t.Helper()
	started := time.Now()
	for range 50 {
		f.Add(Entry{UID: strings.Repeat("a", 1000)}, engine.Document{})
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("reviews wait %s", took)
	}
	await(t, func() bool { return f.value(t, "sluice_decision_log_dropped_total", "write_failed") > 0 })
	await(t, func() bool { return strings.Contains(told(), "no space left on device") })
}

// resumes expects that lines are written some time after there is room.
func (f fixture) resumes(t *testing.T, path string, told func() string) {
	t.Helper()
	await(t, func() bool {
		f.Add(Entry{UID: "room"}, engine.Document{})
		time.Sleep(10 * time.Millisecond)
		data, _ := os.ReadFile(path)
		return bytes.Contains(data, []byte(`"uid":"room"`))
	})
	await(t, func() bool { return strings.Contains(told(), "written again") })
	if said := told(); strings.Count(said, "can't be written") != 1 {
		t.Errorf("said: %s", said)
	}
}

func TestAFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "decisions")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	f, told := openAt(t, path)
	f.loses(t, told)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.resumes(t, path, told)
}

// small mounts a disk of 64 KiB for that many files.
func small(t *testing.T, files string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes="+files); err != nil {
		t.Skip("not allowed to mount:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDisk(t *testing.T) {
	dir := small(t, "10")
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) // fails, when it is full
	path := filepath.Join(dir, "decisions")
	f, told := openAt(t, path)
	f.loses(t, told)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	f.resumes(t, path, told)
}

// There is not even room to make the file. The gate starts all the same.
func TestAFullDiskAtTheStart(t *testing.T) {
	dir := small(t, "2") // the folder is one
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "decisions")
	f, told := openAt(t, path)
	f.loses(t, told)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	f.resumes(t, path, told)
}
