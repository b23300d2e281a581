package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

// sluice runs the program in the working directory.
func sluice(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(context.Background(), args, streams{in: strings.NewReader(stdin), out: &out, err: &err})
	return out.String(), err.String(), code
}

// TestTranscripts runs the commands of testdata/*/*.txtar in a folder with the archive's files, and
// testdata/policies beside them. A command begins with "$ " and may end with "< FILE" for its stdin. Below it
// is what it prints to stdout, to stderr behind "! ", and its exit code unless that is 0. "$ cat FILE" shows a
// file. Lines in front of the first command say what the transcript is about.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	policies, err := filepath.Abs("testdata/policies")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txtar")
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { replay(t, file, policies) })
	}
}

func replay(t *testing.T, file, policies string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS("policies", os.DirFS(policies)); err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		data := bytes.ReplaceAll(f.Data, []byte("TOMORROW"), []byte(time.Now().UTC().AddDate(0, 0, 1).Format(time.RFC3339)))
		if err := os.WriteFile(f.Name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := string(archive.Comment)
	got := transcript(t, want)
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s\n--- got\n%s--- want\n%s", file, got, want)
	}
	archive.Comment = []byte(got)
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// transcript runs the commands of a transcript anew.
func transcript(t *testing.T, old string) string {
	var out strings.Builder
	seen := false
	for _, line := range strings.SplitAfter(old, "\n") {
		command, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "$ ")
		switch {
		case is && seen:
			out.WriteString("\n" + line)
			out.WriteString(execute(t, command))
		case is:
			out.WriteString(line)
			out.WriteString(execute(t, command))
		case !seen:
			out.WriteString(line)
		}
		seen = seen || is
	}
	return out.String()
}

func execute(t *testing.T, command string) string {
	command, from, _ := strings.Cut(command, " < ")
	stdin := ""
	if from != "" {
		stdin = readFile(t, from)
	}
	words := strings.Fields(command)
	if words[0] == "cat" {
		return ended(readFile(t, words[1]))
	}
	stdout, stderr, code := sluice(t, stdin, words[1:]...)
	out := ended(stdout)
	for _, line := range strings.SplitAfter(ended(stderr), "\n") {
		if line != "" {
			out += strings.ReplaceAll("! "+line, " \n", "\n")
		}
	}
	if code != 0 {
		out += fmt.Sprintf("[exit %d]\n", code)
	}
	return out
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// ended is text whose last line ends.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
