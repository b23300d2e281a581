package profile

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/rego"
)

// RegoFiles are .rego files from several places as one flat folder, so that what engine says of a file says
// which file it is. The key is the file's name in that folder.
type RegoFiles map[string]regoFile

type regoFile struct {
	path     string // as the user would name it
	absolute string
	data     []byte
}

// ReadRegoFiles reads files, and folders as engine.Sources does.
func ReadRegoFiles(paths []string) (RegoFiles, error) {
	files := RegoFiles{}
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read rules: %w", err)
		case info.IsDir():
			_, err = files.addFolder(p)
		default:
			err = files.addFile(p)
		}
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
	}
	return files, nil
}

// addFolder tells how many files there are in it.
func (f RegoFiles) addFolder(folder string) (int, error) {
	sources, err := engine.Sources(os.DirFS(folder))
	if err != nil {
		return 0, err
	}
	for name, source := range sources {
		f.add(filepath.Join(folder, filepath.FromSlash(name)), []byte(source))
	}
	return len(sources), nil
}

func (f RegoFiles) addFile(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f.add(file, data)
	return nil
}

// add names the file by its path, without what a name in a folder can't begin with, and apart from the names of
// shipped rules. A file that is there already, under whatever path, stays as it is.
func (f RegoFiles) add(file string, data []byte) {
	absolute := absolutePath(file)
	for _, other := range f {
		if other.absolute == absolute {
			return
		}
	}
	name := strings.TrimLeft(filepath.ToSlash(filepath.Clean(file)), "/")
	for strings.HasPrefix(name, "../") {
		name = name[len("../"):]
	}
	for taken := true; taken; {
		_, err := fs.Stat(rego.Rules, name)
		if taken = err == nil || f.Has(name); taken {
			name = "policies/" + name
		}
	}
	f[name] = regoFile{path: file, absolute: absolute, data: data}
}

// absolutePath is the path that tells files apart; as it is in a working directory that is gone.
func absolutePath(file string) string {
	if absolute, err := filepath.Abs(file); err == nil {
		return absolute
	}
	return filepath.Clean(file)
}

// Has tells whether engine's name for a file is one of these files.
func (f RegoFiles) Has(name string) bool {
	_, ok := f[name]
	return ok
}

// Matches tells whether the text of some file matches.
func (f RegoFiles) Matches(text *regexp.Regexp) bool {
	for _, file := range f {
		if text.Match(file.data) {
			return true
		}
	}
	return false
}

// Display is the path, as the user would write it, of a file that engine names.
func (f RegoFiles) Display(name string) string {
	if file, ok := f[name]; ok {
		return file.path
	}
	return name
}

// Open implements fs.FS; engine uses the methods below instead.
func (f RegoFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// Stat implements fs.StatFS.
func (f RegoFiles) Stat(name string) (fs.FileInfo, error) {
	file, ok := f[name]
	if !ok && name != "." {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return regoInfo{name, len(file.data)}, nil
}

// ReadDir implements fs.ReadDirFS: all files are in the one folder.
func (f RegoFiles) ReadDir(string) ([]fs.DirEntry, error) {
	entries := make([]fs.DirEntry, 0, len(f))
	for name, file := range f {
		entries = append(entries, fs.FileInfoToDirEntry(regoInfo{name, len(file.data)}))
	}
	return entries, nil
}

// ReadFile implements fs.ReadFileFS.
func (f RegoFiles) ReadFile(name string) ([]byte, error) {
	file, ok := f[path.Clean(name)]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return file.data, nil
}

// regoInfo describes a file, or the folder, which is named ".".
type regoInfo struct {
	name string
	size int
}

func (i regoInfo) Name() string       { return i.name }
func (i regoInfo) Size() int64        { return int64(i.size) }
func (i regoInfo) ModTime() time.Time { return time.Time{} }
func (i regoInfo) IsDir() bool        { return i.name == "." }
func (i regoInfo) Sys() any           { return nil }

func (i regoInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
