package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// stamp records what was found to work in a directory: for which pinned versions and platform, and each file's size
// in bytes. Its zero value covers nothing.
type stamp struct {
	Checksum string           `json:"checksum"`
	Platform string           `json:"platform"`
	Sizes    map[string]int64 `json:"sizes"`
}

func stampPath(dir string) string { return filepath.Join(dir, ".stamp.json") }

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// readStamp returns the zero stamp when there is none or it is damaged.
func readStamp(dir string) stamp {
	var s stamp
	content, err := os.ReadFile(stampPath(dir))
	if err != nil || json.Unmarshal(content, &s) != nil {
		return stamp{}
	}
	return s
}

// covers returns nil if the stamp vouches for the wanted binaries as they are in dir now, else the reason why not.
func (s stamp) covers(dir string, versions versions, wanted []component) error {
	switch {
	case s.Checksum == "":
		return errors.New("nothing there was checked yet")
	case s.Checksum != versions.checksum:
		return errors.New("go.mod or go.sum changed")
	case s.Platform != platform():
		return fmt.Errorf("it is for %s", s.Platform)
	}
	for _, c := range wanted {
		info, err := os.Stat(filepath.Join(dir, c.name))
		if err != nil {
			return fmt.Errorf("%s is missing", c.name)
		}
		if size, known := s.Sizes[c.name]; !known || size != info.Size() {
			return fmt.Errorf("%s is not the file that was checked", c.name)
		}
	}
	return nil
}

func writeStamp(dir string, versions versions, wanted []component) error {
	s := stamp{Checksum: versions.checksum, Platform: platform(), Sizes: map[string]int64{}}
	for _, c := range wanted {
		info, err := os.Stat(filepath.Join(dir, c.name))
		if err != nil {
			return fmt.Errorf("stamp the binaries: %w", err)
		}
		s.Sizes[c.name] = info.Size()
	}
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("stamp the binaries: %w", err)
	}
	temporary := filepath.Join(dir, fmt.Sprintf(".stamp.%d.tmp", os.Getpid()))
	if err := os.WriteFile(temporary, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("stamp the binaries: %w", err)
	}
	if err := os.Rename(temporary, stampPath(dir)); err != nil {
		return fmt.Errorf("stamp the binaries: %w", err)
	}
	return nil
}

// lock makes this process the only one that writes to dir, until unlock is called or the process ends. It waits for
// another holder as long as ctx allows.
func lock(ctx context.Context, dir string, progress io.Writer) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for told := false; ; told = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if !told {
			fmt.Fprintf(progress, "controlplane: another run is preparing %s; waiting for it\n", dir)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for the lock of %s: %w", dir, ctx.Err())
		case <-retry.C:
		}
	}
}
