package decisionlog

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// file is appended to, so that it may be copied and truncated, and follows its name, so that it may be moved away.
type file struct {
	*os.File // nil while there was no room to make it
	path     string
	looked   time.Time
}

// lookInterval is the time between two looks at whether the file still is where it was.
const lookInterval = time.Second

// openFile makes a file whose path is good, even on a disk that is full: reviews don't wait for room.
func openFile(path string) (*file, error) {
	opened, err := appendTo(path)
	if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return nil, err
	}
	return &file{File: opened, path: path, looked: time.Now()}, nil
}

func appendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Write implements io.Writer. A file that was moved away is written on until a new one can be opened.
func (f *file) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(f.looked) >= lookInterval {
		f.looked = now
		if f.File == nil || f.moved() {
			if opened, err := appendTo(f.path); err == nil {
				f.File.Close() // of nil it is an error, which says nothing
				f.File = opened
			}
		}
	}
	if f.File == nil {
		return 0, &os.PathError{Op: "open", Path: f.path, Err: syscall.ENOSPC}
	}
	return f.File.Write(p)
}

// Close implements io.Closer.
func (f *file) Close() error {
	if f.File == nil {
		return nil
	}
	return f.File.Close()
}

func (f *file) moved() bool {
	there, err := os.Stat(f.path)
	if err != nil {
		return os.IsNotExist(err)
	}
	here, err := f.Stat()
	return err == nil && !os.SameFile(there, here)
}

// keptOpen is a Writer that others use, too.
type keptOpen struct{ io.Writer }

// Close implements io.Closer.
func (keptOpen) Close() error { return nil }
