package manifest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"d/b.yaml", "d/a.yml", "d/sub/c.json", "d/sub/note.txt", "d/.hidden/x.yaml", "plain.txt"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"d/sub/loop": "..", "d/link.yaml": "sub/c.json", "d/broken.yaml": "nowhere", "d/.lock": "nowhere"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	sources, problems := Paths([]string{"plain.txt", "d", "-", "d/b.yaml", "missing.yaml", "empty", "", "-"}, strings.NewReader("in"))
	var got []string
	for _, s := range sources {
		got = append(got, s.Name+"="+string(s.Data))
	}
	wantStrings(t, got, "plain.txt=plain.txt", "d/a.yml=d/a.yml", "d/b.yaml=d/b.yaml", "d/link.yaml=d/sub/c.json",
		"d/sub/c.json=d/sub/c.json", "<stdin>=in")
	wantStrings(t, problemStrings(problems),
		"d/broken.yaml: can't be read: no such file or directory",
		"missing.yaml: can't be read: no such file or directory",
		"empty: no .yaml, .yml or .json file in this directory",
		"a name of a file or folder is empty; . is the folder you are in")
}

func TestReadPathsStdin(t *testing.T) {
	files := ReadPaths([]string{"-", "nowhere"}, strings.NewReader(minimalService))
	wantStrings(t, problemStrings(files[0].Problems), "nowhere: can't be read: no such file or directory")
	if o := files[1].Objects[0]; o.File != "<stdin>" || o.Name != "s" {
		t.Errorf("%+v", o)
	}
	for _, from := range []io.Reader{nil, iotest.ErrReader(errors.New("closed"))} {
		if files := ReadPaths([]string{"-"}, from); len(files) != 1 || len(files[0].Problems) != 1 {
			t.Errorf("%+v", files)
		}
	}
}
