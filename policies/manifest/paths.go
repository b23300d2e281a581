package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is the content of one file, unread.
type Source struct {
	Name string
	Data []byte
}

// Paths reads what a command's arguments name: files of any extension,
// directories (all *.yaml, *.yml and *.json below them, sorted, hidden
// directories left out, symbolic links followed once), and "-" for stdin. A file
// that two arguments name is read once. What can't be read is a problem.
func Paths(args []string, stdin io.Reader) ([]Source, []Problem) {
	return paths(args, stdin, MaxFileSize)
}

func paths(args []string, stdin io.Reader, maxSize int) ([]Source, []Problem) {
	w := walker{seen: map[string]bool{}, maxSize: maxSize}
	for _, arg := range args {
		if arg == "-" {
			if !w.seen["-"] {
				w.seen["-"] = true
				w.read(StdinName, stdin)
			}
			continue
		}
		if arg == "" {
			w.fail("", "a name of a file or folder is empty; . is the folder you are in")
			continue
		}
		w.argument(filepath.Clean(arg))
	}
	return w.sources, w.problems
}

// ReadPaths is Paths and Read together. Problems with paths come as a File of
// their own, so that none is lost.
func ReadPaths(args []string, stdin io.Reader) []File {
	sources, problems := Paths(args, stdin)
	files := make([]File, 0, len(sources)+len(problems))
	for _, p := range problems {
		files = append(files, File{Name: p.File, Problems: []Problem{p}})
	}
	for _, s := range sources {
		files = append(files, Read(s.Name, s.Data))
	}
	return files
}

type walker struct {
	sources  []Source
	problems []Problem
	seen     map[string]bool
	maxSize  int // of a file
}

func (w *walker) fail(path, message string) {
	w.problems = append(w.problems, Problem{File: path, Message: message})
}

func (w *walker) argument(path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		w.fail(path, "can't be read: "+reasonOf(err))
	case info.IsDir():
		if w.directory(path, nil) == 0 {
			w.fail(path, "no .yaml, .yml or .json file in this directory")
		}
	default:
		w.file(path)
	}
}

// directory reads the manifests below a directory and returns how many there
// are. Above are the real paths of the directories it was reached through.
func (w *walker) directory(path string, above []string) int {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		w.fail(path, "can't be read: "+reasonOf(err))
		return 0
	}
	if slices.Contains(above, real) {
		return 0
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		w.fail(path, "can't be read: "+reasonOf(err))
		return 0
	}
	count := 0
	for _, entry := range entries {
		child := filepath.Join(path, entry.Name())
		info, err := os.Stat(child)
		switch {
		case err != nil && isManifestName(child):
			w.fail(child, "can't be read: "+reasonOf(err))
		case err != nil:
		case info.IsDir() && !strings.HasPrefix(entry.Name(), "."):
			count += w.directory(child, append(slices.Clone(above), real))
		case info.Mode().IsRegular() && isManifestName(child):
			count++
			w.file(child)
		}
	}
	return count
}

func isManifestName(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func (w *walker) file(path string) {
	key := path
	if absolute, err := filepath.Abs(path); err == nil {
		key = absolute
	}
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	file, err := os.Open(path)
	if err != nil {
		w.fail(path, "can't be read: "+reasonOf(err))
		return
	}
	defer file.Close()
	w.read(path, file)
}

func (w *walker) read(name string, from io.Reader) {
	if from == nil {
		w.fail(name, "can't be read: there is no standard input")
		return
	}
	data, err := io.ReadAll(io.LimitReader(from, int64(w.maxSize)+1))
	switch {
	case err != nil:
		w.fail(name, "can't be read: "+reasonOf(err))
	case len(data) > w.maxSize:
		w.fail(name, tooLarge(w.maxSize))
	default:
		w.sources = append(w.sources, Source{Name: name, Data: data})
	}
}

func tooLarge(maxSize int) string {
	return fmt.Sprintf("file is larger than %d MiB; split it", maxSize>>20)
}

// reasonOf is an error's reason without the path, which the problem names.
func reasonOf(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file or directory"
	}
	return err.Error()
}
