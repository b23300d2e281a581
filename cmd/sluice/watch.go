package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settled is how long nothing has to change before a change counts as done: editors write a file in several steps.
const settled = 100 * time.Millisecond

// watch calls do at once, and again after each change of a .rego or YAML file at or below the paths, until the context
// ends. The error is for paths that can't be watched.
func watch(ctx context.Context, paths []string, do func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer func() { _ = watcher.Close() }()
	for _, path := range paths {
		if err := watchBelow(watcher, path); err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
	}
	do()
	timer := time.NewTimer(settled)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.Events:
			if !ok {
				return nil
			}
			if event.Has(fsnotify.Create) {
				// What is gone again by now needs no watching.
				if err := watchBelow(watcher, event.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("watch files: %w", err)
				}
			}
			if matters(event) {
				timer.Reset(settled)
			}
		case err := <-watcher.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return fmt.Errorf("watch files: %w", err)
			}
			timer.Reset(settled) // something has changed, and too much to say what
		case <-timer.C:
			do()
		}
	}
}

// watchBelow watches all folders at or below a path. A file is watched by its folder: many editors replace files.
func watchBelow(watcher *fsnotify.Watcher, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return watcher.Add(filepath.Dir(path))
	}
	return filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case strings.HasPrefix(entry.Name(), ".") && entry.Name() != "." && entry.Name() != "..":
			return fs.SkipDir
		}
		return watcher.Add(path)
	})
}

// matters tells whether a change can change a result. A folder that appears may hold files already.
func matters(event fsnotify.Event) bool {
	if event.Op == fsnotify.Chmod {
		return false
	}
	switch filepath.Ext(event.Name) {
	case ".rego", ".yaml", ".yml", ".json", "":
		return !strings.HasPrefix(filepath.Base(event.Name), ".")
	}
	return false
}
