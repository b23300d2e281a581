package report

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(t *testing.T, format string, r Report, opts TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, format, r, opts); err != nil {
		t.Fatalf("Write(%s): %v", format, err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	outputs := map[string]string{"shop.color": write(t, FormatText, shop(), TextOptions{Color: true})}
	for name, r := range fixtures() {
		for _, format := range Formats() {
			outputs[name+"."+format] = write(t, format, r, TextOptions{})
		}
	}
	for name, d := range dryRuns() {
		for _, format := range DiffFormats() {
			outputs["dryrun-"+name+"."+format] = writeDryRun(t, format, d, TextOptions{})
		}
	}
	outputs["dryrun-shop.color"] = writeDryRun(t, FormatText, dryRuns()["shop"], TextOptions{Color: true})
	for name, got := range outputs {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is stale; rewrite with -update and look at the difference (-golden +now):\n%s", file, diff)
			}
		})
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := outputs[strings.TrimSuffix(file.Name(), ".golden")]; !ok {
			t.Errorf("testdata/%s belongs to no test: delete it", file.Name())
		}
	}
}

func TestWriteIsDeterministicAndChangesNothing(t *testing.T) {
	for name, r := range fixtures() {
		for _, format := range Formats() {
			before := reversed(reversed(r))
			got := write(t, format, reversed(r), TextOptions{})
			if diff := cmp.Diff(write(t, format, r, TextOptions{}), got); diff != "" {
				t.Errorf("%s as %s depends on the order of its slices:\n%s", name, format, diff)
			}
			if diff := cmp.Diff(before, r); diff != "" {
				t.Errorf("%s as %s: Write changed its report:\n%s", name, format, diff)
			}
		}
	}
}

func TestNothingHostileGetsThrough(t *testing.T) {
	for _, format := range Formats() {
		out := write(t, format, hostile(), TextOptions{})
		if !utf8.ValidString(out) {
			t.Errorf("%s is not UTF-8", format)
		}
		for _, r := range out {
			if r != '\n' && !(r == '\t' && format == FormatJUnit) && !strconv.IsPrint(r) {
				t.Errorf("%s has %U", format, r)
			}
		}
		for line := range strings.Lines(out) {
			command := strings.HasPrefix(strings.TrimSpace(line), "::")
			ours := format == FormatGitHub && (strings.HasPrefix(line, "::error file=%3A%3Awarning%3A%3A") ||
				strings.HasPrefix(line, "::warning file=%3A%3Awarning%3A%3A") ||
				strings.HasPrefix(line, "::notice file=%3A%3Awarning%3A%3A"))
			if command && !ours {
				t.Errorf("%s has a workflow command: %q", format, line)
			}
			if strings.HasPrefix(line, labelFix) && !strings.HasPrefix(line, labelFix+`a\x1b`) {
				t.Errorf("%s has a forged fix: %q", format, line)
			}
		}
		if strings.Contains(out, "##vso[") {
			t.Errorf("%s has a command for Azure", format)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	var out bytes.Buffer
	err := Write(&out, "yaml", Report{}, TextOptions{})
	want := `unknown output format "yaml": must be one of text, json, sarif, junit, github`
	if err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	unprintable := Report{Patched: []Patched{{Policy: "p", Path: "/x", Value: math.NaN()}}}
	for _, format := range []string{FormatText, FormatJSON} {
		if err := Write(&out, format, unprintable, TextOptions{}); err == nil {
			t.Errorf("%s: no error for a value that JSON can't hold", format)
		}
	}
	if out.Len() > 0 {
		t.Errorf("wrote %q beside an error", out.String())
	}
	if err := Write(brokenPipe{}, FormatText, Report{}, TextOptions{}); !errors.Is(err, errBrokenPipe) {
		t.Errorf("got error %v, want one that wraps the writer's", err)
	}
}

var errBrokenPipe = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBrokenPipe }
