package decisionlog

import (
	"io"
	"os"
	"time"
)

// file is appended to, so that it may be copied and truncated, and follows its name, so that it may be moved away.
type file struct {
	*os.File
	path   string
	looked time.Time
}

// lookInterval is the time between two looks at whether the file still is where it was.
const lookInterval = time.Second

func openFile(path string) (*file, error) {
	opened, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{File: opened, path: path, looked: time.Now()}, nil
}

// Write implements io.Writer. A file that was moved away is written on until a new one can be opened.
func (f *file) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(f.looked) >= lookInterval {
		f.looked = now
		if f.moved() {
			if opened, err := openFile(f.path); err == nil {
				f.Close()
				f.File = opened.File
			}
		}
	}
	return f.File.Write(p)
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
