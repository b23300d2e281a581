package manifest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	kyaml "sigs.k8s.io/yaml"
)

func wholeObjects(string, string) ([]string, bool) { return nil, true }

func podLabels(_, kind string) ([]string, bool) {
	if kind == "Pod" {
		return []string{"metadata.labels", "spec.hostNetwork"}, false
	}
	return nil, true
}

// sameAsRead tells that what is read by items is what Read reads at once.
func sameAsRead(t *testing.T, text string) {
	t.Helper()
	want, got := Read("x", []byte(text)), readDump(Source{"x", []byte(text)}, wholeObjects)
	for _, o := range slices.Concat(want.Objects, got.Objects) {
		o.JSON = canonical(o.JSON)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(File{}, Object{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-Read +ReadDumps of\n%s\n%s", text, diff)
		return
	}
	for i, o := range want.Objects {
		for _, field := range []string{"metadata.name", "spec", "spec.x[1].y"} {
			line, column := o.Position(field)
			if l, c := got.Objects[i].Position(field); l != line || c != column {
				t.Errorf("%s of %s is at %d:%d, not at %d:%d in\n%s", field, o.Name, line, column, l, c, text)
			}
		}
	}
}

func canonical(text []byte) []byte {
	var x any
	if err := json.Unmarshal(text, &x); err != nil {
		return text
	}
	text, err := json.Marshal(x)
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

const podItem = "- apiVersion: v1\n  kind: Pod\n  metadata: {name: a, namespace: shop}\n"

// What Read says of hand-written texts that are nearly Lists, or Lists with something wrong in them.
func TestReadDumpsReadsAsRead(t *testing.T) {
	list := func(items string) string { return "apiVersion: v1\nitems:\n" + items + "kind: List\n" }
	jsonList := func(items string) string {
		return `{"apiVersion": "v1", "items": [` + items + `], "kind": "List", "metadata": {"resourceVersion": ""}}` + "\n"
	}
	const jsonPod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a{[\"}"}, "spec": {"x": [1, {"y": 2}]}}`
	for _, text := range []string{
		"", "\n", "---\n", "a: b\n", "apiVersion: v1\nkind: List\n", "apiVersion: v1\nkind: List\nitems: []\n", list(""),
		list(podItem), list(podItem + podItem), "---\n" + list(podItem) + "---\n" + list(podItem) + podItem[2:],
		"# a comment\n" + list("# one\n"+podItem+"\n# two\n\n"+podItem+"  # three\n"), strings.ReplaceAll(list(podItem), "\n", "\r\n"),
		list("- a\n"), list(" 00\n"), list("-\n"), list("- \n" + podItem), list("- - a\n"), list("- {}\n"), list("- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n"),
		list("- |\n  text\n"), list("- apiVersion: v1\n  kind: Pod\n"), list("- apiVersion: v1\n  kind: 7\n  metadata: {name: a}\n"),
		list(podItem + "- apiVersion: v1\n kind: Pod\n"), list(podItem + "- \"a\n- b\"\n"), list(podItem + "- {a: b\n- c}\n"), list(podItem + "- [\n- c]\n"),
		list("- &a\n  apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n- *a\n"), list("- apiVersion: v1\n  kind: Pod\n  metadata: &m {name: a}\n- apiVersion: v1\n  kind: Pod\n  metadata: *m\n"),
		list("- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  metadata: {name: b}\n"), list(podItem) + "kind: List\n", list(podItem) + "items: []\n",
		list(podItem) + "items:\n" + podItem, "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n", "apiVersion: v2\nkind: List\nitems:\n" + podItem,
		"apiVersion: v1\nkind: List\nitems:\n  " + strings.ReplaceAll(podItem, "\n", "\n  ") + "\n", "apiVersion: v1\nkind: List\nmore: x\nitems:\n" + podItem,
		"apiVersion: v1\nkind: List\nmetadata: &a {}\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: *a\n", list("- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: a}\n"),
		"\xef\xbb\xbf" + list(podItem), "apiVersion: v1\nitems:\n" + podItem + "\ttab\nkind: List\n", list(podItem + "-\tapiVersion: v1\n"), "\xff",
		jsonList(""), jsonList(jsonPod), jsonList(jsonPod + ",\n  " + jsonPod), jsonList(jsonPod+" , "+jsonPod) + jsonList(jsonPod), jsonList(jsonPod) + "---\n" + list(podItem),
		jsonList("1"), jsonList(jsonPod + ","), jsonList(jsonPod + " " + jsonPod), jsonList(`{"a": }`), jsonList(jsonPod + `, {"a"`), jsonList(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "kind": "Pod"}`),
		`{"kind": "List", "apiVersion": "v1", "items": {}}`, `{"kind": "List", "apiVersion": "v1", "items": [`, `{"kind": "List", "apiVersion": "v1", "items": [` + jsonPod, `{"kind": "List", "items": [` + jsonPod + `]}`,
		`{"items": [` + jsonPod + `], "items": [], "kind": "List", "apiVersion": "v1"}`, `{"kind": "List", "apiVersion": "v1", "more": [1], "items": [` + jsonPod + `]}`, `{"a" 1}`, `{`, `[` + jsonPod + `]`, `{"kind": "List",, "items": []}`,
	} {
		sameAsRead(t, text)
	}
}

func TestReadDumpsReadsAsReadWhateverIsInIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var items []any
		for i := range r.IntN(4) {
			items = append(items, map[string]any{"apiVersion": "v1", "kind": "Own", "metadata": map[string]any{"name": fmt.Sprint("a", i)}, "spec": randomValue(r, 4)})
		}
		list := map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
		text, err := json.MarshalIndent(list, "", strings.Repeat(" ", r.IntN(3)))
		if r.IntN(2) == 0 {
			text, err = kyaml.Marshal(list)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(3) == 0 && len(text) > 0 { // and something wrong
			at := r.IntN(len(text))
			text[at] = "\n -{}[]:\"'&*|#a"[r.IntN(15)]
		}
		sameAsRead(t, string(text))
	}
}

func FuzzReadDumps(f *testing.F) {
	f.Add("apiVersion: v1\nitems:\n" + podItem + podItem + "kind: List\n")
	f.Add(`{"apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}], "kind": "List"}`)
	f.Fuzz(func(t *testing.T, text string) { sameAsRead(t, text) })
}

// An outline has what was asked for, and where it stands.
func TestOutline(t *testing.T) {
	const pod = `apiVersion: v1
kind: Pod
metadata:
  annotations: {a: b}
  labels: {app: web, "on": "yes"}
  name: a
  namespace: shop
spec:
  containers: [{name: a}]
  hostNetwork: true
status: {phase: Running}
`
	const outline = `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"app":"web","on":"yes"},"name":"a","namespace":"shop"},"spec":{"hostNetwork":true}}`
	asJSON, err := kyaml.YAMLToJSON([]byte(pod))
	if err != nil {
		t.Fatal(err)
	}
	whole := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"nodeName":"b"}}`
	for name, c := range map[string]struct{ text, want string }{
		"YAML":              {pod, outline},
		"JSON":              {string(asJSON), outline},
		"in a List":         {"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(pod), "\n", "\n  ") + "\n", outline},
		"in a JSON List":    {`{"apiVersion": "v1", "kind": "List", "items": [` + string(asJSON) + `]}`, outline},
		"with a reference":  {"apiVersion: v1\nkind: Pod\nmetadata: {name: &n a}\nspec: {nodeName: b}\n", whole},
		"with a merge":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {<<: {nodeName: b}}\n", whole},
		"of another kind":   {"apiVersion: v1\nkind: Own\nmetadata: {name: a}\nspec: {nodeName: b}\n", strings.Replace(whole, "Pod", "Own", 1)},
		"a boolean":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: yes}}\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":true},"name":"a"}}`},
		"labels as a list":  {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: [a]}\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":["a"],"name":"a"}}`},
		"spec is no map":    {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: 1\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":1}`},
		"a number as text":  {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: '1'}}\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1"},"name":"a"}}`},
		"octal, as kubectl": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: 0777}}\n", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":511},"name":"a"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			file := readDump(Source{"x", []byte(c.text)}, podLabels)
			if len(file.Objects) != 1 || len(file.Problems) > 0 {
				t.Fatalf("%+v", file)
			}
			var want, got any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(file.Objects[0].JSON, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	file := readDump(Source{"x", []byte("apiVersion: v1\nkind: List\nitems:\n" + podItem + "- " + strings.ReplaceAll(strings.TrimSpace(pod), "\n", "\n  ") + "\n")}, podLabels)
	if line, column := file.Objects[1].Position("metadata.labels"); line != 11 || column != 5 {
		t.Errorf("the labels are at %d:%d", line, column)
	}
	file = readDump(Source{"x", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: a, name: b}\n")}, podLabels)
	if len(file.Problems) != 1 || !strings.Contains(file.Problems[0].Message, "duplicate") {
		t.Errorf("%+v", file)
	}
}

func TestReadDumpsReadsPaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(podItem[2:]), 0o644); err != nil {
		t.Fatal(err)
	}
	files := ReadDumps([]string{dir, filepath.Join(dir, "missing"), "-"}, strings.NewReader("\xff"), podLabels)
	if len(files) != 3 || len(files[0].Problems) != 1 || len(files[1].Problems)+len(files[1].Objects) == 0 {
		t.Errorf("%+v", files)
	}
}
