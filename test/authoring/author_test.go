package authoring_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-gate/sluice/test/plane"
)

// commandTimeout is far above what any command of the guide takes.
const commandTimeout = 60 * time.Second

// author is somebody who follows the guide, in a folder of their own.
type author struct {
	dir     string
	tools   string // a folder with the programs that the guide runs, in front of PATH
	environ []string
}

// newAuthor builds sluice from the tree.
func newAuthor(t *testing.T) *author {
	t.Helper()
	a := &author{dir: t.TempDir(), tools: t.TempDir()}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", a.tools, "../../cmd/sluice")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build sluice: %v\n%s", err, out)
	}
	a.environ = append(os.Environ(), "PATH="+a.tools+string(os.PathListSeparator)+os.Getenv("PATH"), "LC_ALL=C",
		"NO_COLOR=1", "KUBECONFIG=/nowhere", "KUBERC=off", "KUBECACHEDIR="+t.TempDir())
	return a
}

// enter lets the author use a cluster with kubectl.
func (a *author) enter(t *testing.T, cluster *plane.Plane) {
	t.Helper()
	kubectl, err := filepath.Abs(filepath.Join(os.Getenv(plane.AssetsVariable), "kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kubectl, filepath.Join(a.tools, "kubectl")); err != nil {
		t.Fatal(err)
	}
	a.environ = append(a.environ, "KUBECONFIG="+cluster.Kubeconfig())
}

// save writes a file of the guide. A rule without METADATA takes the place of what the file has below its own: the
// guide shows METADATA once.
func (a *author) save(t *testing.T, p part) {
	t.Helper()
	path := filepath.Join(a.dir, filepath.FromSlash(p.file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	text := later(p.text)
	if old, err := os.ReadFile(path); err == nil && strings.HasPrefix(text, "package ") {
		above, _, _ := strings.Cut("\n"+string(old), "\npackage ")
		text = strings.TrimPrefix(above+"\n", "\n") + text
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run returns what a command prints to the terminal, which is all that the guide shows of it.
func (a *author) run(t *testing.T, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = a.dir, a.environ
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput() // a command may well fail: what it says is compared
	if ctx.Err() != nil {
		t.Fatalf("$ %s\ndid not end: %v\n%s", command, err, out)
	}
	return shown(string(out))
}

// shownExpiry is when the exception of the guide expires. Sluice takes nothing that is more than a year ahead, so that
// another day, of the same length, stands in for it.
const shownExpiry = "2027-01-31T00:00:00Z"

func realExpiry() string {
	return time.Now().UTC().AddDate(0, 1, 0).Format("2006-01-02") + "T00:00:00Z"
}

// later is a file of the guide as an author would write it today.
func later(text string) string { return strings.ReplaceAll(text, shownExpiry, realExpiry()) }

// age ends the lines of `kubectl get`.
var age = regexp.MustCompile(`(?m)  (\d+m)?\d+s$`)

// shown is what the guide says of an output.
func shown(text string) string {
	text = strings.ReplaceAll(text, realExpiry(), shownExpiry)
	text = age.ReplaceAllString(text, "  5s")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
