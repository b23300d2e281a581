package manifest

import (
	"fmt"
	"strings"
	"testing"
)

// problemStrings are problems as a person reads them.
func problemStrings(problems []Problem) []string {
	out := make([]string, 0, len(problems))
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}

func wantStrings(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func objectStrings(file File) []string {
	var out []string
	for _, o := range file.Objects {
		out = append(out, fmt.Sprintf("%d:%d %s %s %s/%s", o.Line, o.Column, o.APIVersion, o.Kind, o.Namespace, o.Name))
	}
	return out
}

const (
	goodHead = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\n"
	goodTail = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: tail}\n"
)

func TestReadProblems(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n"
	cases := []struct{ name, text, want string }{
		{"tab", service + "spec:\n\ttype: X", "f.yaml:10:1: indented with a tab; YAML allows only spaces: replace the tab with spaces"},
		{"second colon", service + "spec: a: b", `f.yaml:9:8: not YAML: mapping values are not allowed in this context; quote the value if ": " is part of it, else check the indentation`},
		{"indentation", "a:\n  - b\n  c: d", "f.yaml:7:3: not YAML: did not find expected '-' indicator; check the indentation of this line and the one before"},
		{"open quote", "a: 1\nb: \"x", "f.yaml:6:4: not YAML: found unexpected end of stream; the quote that opens here isn't closed"},
		{"open bracket", "a: [1, 2\nb: c", "f.yaml:6:2: not YAML: did not find expected ',' or ']'; a bracket or brace before this isn't closed"},
		{"open bracket at the end", "a: [", "f.yaml:5:5: not YAML: did not find expected node content; a bracket or brace before this isn't closed"},
		{"reserved character", "a: @b", "f.yaml:5:4: not YAML: found character that cannot start any token; quote the value"},
		{"template", "a: {{ .Values.a }}", "f.yaml:5:4: a key is not a string; it looks like a template: render it first (helm template)"},
		{"template block", "{{- if .x }}\na: b", "f.yaml:5:3: not YAML: did not find expected node content; it looks like a template: render it first (helm template)"},
		{"no anchor", "a: *x", "f.yaml:5:4: no anchor &x above this alias in the same document"},
		{"anchor in itself", "a: &a [*a]", "f.yaml:5:1: kubectl can't read this: anchor 'a' value contains itself"},
		{"merge of a scalar", "a: 1\n<<: 3", "f.yaml:6:1: << merges something that isn't a mapping; point it at an anchored mapping"},
		{"mapping as key", service + "spec:\n  ? {a: b}\n  : c", "f.yaml:10:3: a key is not a string; quote it"},
		{"list", "- a", "f.yaml:5:1: document is a list; expected a mapping with apiVersion, kind and metadata"},
		{"quoted null", "'null'", "f.yaml:5:1: document is a single value; expected a mapping with apiVersion, kind and metadata"},
		{"scalar", "just text", "f.yaml:5:1: document is a single value; expected a mapping with apiVersion, kind and metadata"},
		{"duplicate key", service + "spec:\n  type: A\n  type: B", `f.yaml:11:3: spec.type: duplicate key "type", first on line 10; remove one of them`},
		{"missing ---", service + service, "f.yaml:9:1: duplicate key \"apiVersion\", first on line 5: is a --- missing between two documents?\n" +
			"f.yaml:10:1: duplicate key \"kind\", first on line 6: is a --- missing between two documents?\n" +
			`f.yaml:11:1: duplicate key "metadata", first on line 7; remove one of them`},
		{"no kind", "apiVersion: v1\nmetadata: {name: a}", "f.yaml:5:1: kind is missing; every Kubernetes object states apiVersion and kind"},
		{"no apiVersion", "kind: Service\nmetadata: {name: a}", "f.yaml:5:1: apiVersion is missing; every Kubernetes object states apiVersion and kind"},
		{"neither", "metadata: {name: a}\nspec: {}", "f.yaml:5:1: apiVersion is missing; every Kubernetes object states apiVersion and kind\n" +
			"f.yaml:5:1: kind is missing; every Kubernetes object states apiVersion and kind"},
		{"list without apiVersion", "kind: List\nitems: []", "f.yaml:5:1: apiVersion is missing; every Kubernetes object states apiVersion and kind"},
		{"list without kind", "apiVersion: v1\nitems: []", "f.yaml:5:1: kind is missing; every Kubernetes object states apiVersion and kind"},
		{"kind in other letters", "apiVersion: v1\nKind: Service\nmetadata: {name: a}", "f.yaml:5:1: kind is missing; every Kubernetes object states apiVersion and kind"},
		{"no version", "apiVersion: apps/\nkind: X\nmetadata: {name: a}", `f.yaml:5:1: apiVersion: "apps/" is no version of an API; expected v1, or a group and a version such as apps/v1`},
		{"kind is a number", "apiVersion: v1\nkind: 7\nmetadata: {name: a}", "f.yaml:6:1: kind: expected a string, got the number 7; quote it"},
		{"no name", "apiVersion: v1\nkind: Service\nmetadata: {labels: {}}", "f.yaml:7:1: metadata.name is missing; name the object, or give metadata.generateName"},
		{"no metadata", "apiVersion: v1\nkind: Service", "f.yaml:5:1: metadata.name is missing; name the object, or give metadata.generateName"},
		{"name is a number", "apiVersion: v1\nkind: Service\nmetadata: {name: 7}", "f.yaml:7:12: metadata.name: expected a string, got the number 7; quote it"},
		{"name is a yaml 1.1 boolean", "apiVersion: v1\nkind: Service\nmetadata:\n  name: off", "f.yaml:8:3: metadata.name: expected a string, got the boolean false; quote it"},
		{"metadata is a list", "apiVersion: v1\nkind: Service\nmetadata: []", "f.yaml:7:1: metadata: expected a mapping, got a list"},
		{"item is a scalar", "apiVersion: v1\nkind: List\nitems:\n- a", "f.yaml:8:3: items[0]: item is a single value; expected an object with apiVersion, kind and metadata"},
		{"item without kind", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  metadata: {}", "f.yaml:8:3: kind is missing; every Kubernetes object states apiVersion and kind"},
		{"items is a mapping", "apiVersion: v1\nkind: List\nitems: {a: b}", "f.yaml:7:8: items: expected a list of objects"},
		{"alias bomb", bomb(), "f.yaml:5:1: aliases multiply beyond reason; write the repeated parts out"},
		{"deep", "a: " + strings.Repeat("[", 101) + strings.Repeat("]", 101), "f.yaml:5:103: nested more than 100 levels deep; no Kubernetes object is"},
		{"deep JSON", `{"a": ` + strings.Repeat("[", 101) + strings.Repeat("]", 101) + "}", "f.yaml:5:106: nested more than 100 levels deep; no Kubernetes object is"},
		{"bad JSON", "{\"a\": 1,\n \"b\" 2}", "f.yaml:6:6: not JSON: invalid character '2' after object key"},
		{"unfinished JSON", "{\"a\": 1,\n \"b\": [", "f.yaml:6:8: JSON ends in the middle of a value; a bracket or brace isn't closed"},
		{"trailing garbage", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}} garbage`, "f.yaml:5:70: unexpected text after a JSON value; expected another object or the end of the file"},
		{"duplicate key in JSON", `{"apiVersion": "v1", "kind": "A", "kind": "B", "metadata": {"name": "x"}}`, `f.yaml:5:35: duplicate key "kind", first on line 5: is a --- missing between two documents?`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := Read("f.yaml", []byte(goodHead+c.text+goodTail))
			wantStrings(t, problemStrings(file.Problems), c.want)
			if first, last := file.Objects[0], file.Objects[len(file.Objects)-1]; first.Name != "good" || last.Name != "tail" {
				t.Errorf("other documents: %v", objectStrings(file))
			}
		})
	}
}

func bomb() string {
	text := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		alias := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ",")
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, alias)
	}
	return text
}

func TestReadWholeFile(t *testing.T) {
	wantStrings(t, problemStrings(Read("big", make([]byte, MaxFileSize+1)).Problems), "big: file is larger than 64 MiB; split it")
	wantStrings(t, problemStrings(Read("f", []byte("a: b\nc: \xff")).Problems),
		"f:2:4: not UTF-8 text; manifests are YAML or JSON in UTF-8")
	wantStrings(t, problemStrings(Read("f.json", []byte(`{"a": b}`)).Problems),
		"f.json:1:7: not JSON: invalid character 'b' looking for beginning of value")
	for _, empty := range []string{"", "\n", "# only a comment\n", "---\n---\n", "--- # nothing\n...\n", "\xef\xbb\xbf", "null\n---\n~ # nothing\n"} {
		if f := Read("f", []byte(empty)); len(f.Objects)+len(f.Problems)+len(f.Skipped) != 0 {
			t.Errorf("%q: %v %v %v", empty, f.Objects, f.Problems, f.Skipped)
		}
	}
}

func TestReadObjects(t *testing.T) {
	head := func(name string) string { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n" }
	cases := []struct{ name, text, want string }{
		{"documents", head("a") + "---\n# only a comment\n---\n\n" + head("b") + "...\n" + head("c"),
			"1:1 v1 ConfigMap /a\n8:1 v1 ConfigMap /b\n12:1 v1 ConfigMap /c"},
		{"content behind the marker", "--- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n--- # note\n" + head("b"),
			"1:5 v1 ConfigMap /a\n3:1 v1 ConfigMap /b"},
		{"directive", "%YAML 1.1\n---\n" + head("a"), "3:1 v1 ConfigMap /a"},
		{"byte order mark and CRLF", "\xef\xbb\xbf" + strings.ReplaceAll(head("a")+"---\n"+head("b"), "\n", "\r\n"),
			"1:1 v1 ConfigMap /a\n5:1 v1 ConfigMap /b"},
		{"marker in a block scalar", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    ---\n    y\n", "1:1 v1 ConfigMap /a"},
		{"generateName", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-, namespace: ns}\n", "1:1 v1 Pod ns/a-…"},
		{"kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n", "1:1 kustomize.config.k8s.io/v1beta1 Kustomization /"},
		{"list", "apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n-\n  apiVersion: v1\n  kind: List\n  items: [{apiVersion: v1, kind: Pod, metadata: {name: b}}]\n",
			"5:3 v1 Namespace /a\n11:11 v1 Pod /b"},
		{"typed list", "apiVersion: networking.k8s.io/v1\nkind: IngressList\nitems:\n- metadata: {name: a}\n", "4:3 networking.k8s.io/v1 Ingress /a"},
		{"kind that ends in List", "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\n", "1:1 example.com/v1 AllowList /a"},
		{"empty list", "apiVersion: v1\nkind: List\nitems: []\n", ""},
		{"json values", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}} {\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}\n}\n",
			"1:1 v1 Pod /a\n1:64 v1 Pod /b"},
		{"json among yaml", head("a") + "---\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"b\"}}\n", "1:1 v1 ConfigMap /a\n5:1 v1 Pod /b"},
		{"yaml that begins like json", "{\"apiVersion\": v1, kind: Pod, metadata: {name: b}}\n", "1:1 v1 Pod /b"},
		{"aliases", "apiVersion: &v v1\nkind: Pod\nmetadata: &m {name: a}\nspec: *m\n", "1:1 v1 Pod /a"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := Read("f.yaml", []byte(c.text))
			wantStrings(t, problemStrings(file.Problems))
			wantStrings(t, objectStrings(file), c.want)
		})
	}
}

func TestReadAsKubectl(t *testing.T) {
	const text = `apiVersion: v1
kind: ConfigMap
metadata: {name: a}
base: &base {x: 1, z: yes}
data:
  <<: *base
  z: "off"
  mode: 0777
  date: 2001-01-02
  8080: port
`
	file := Read("f.yaml", []byte(text))
	want := `{"apiVersion":"v1","base":{"x":1,"z":true},"data":{"8080":"port","date":"2001-01-02","mode":511,"x":1,"z":"off"},"kind":"ConfigMap","metadata":{"name":"a"}}`
	if got := string(file.Objects[0].JSON); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReadTypedListItem(t *testing.T) {
	file := Read("f.yaml", []byte("apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}}]\n"))
	if got, want := string(file.Objects[0].JSON), `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReadSkipped(t *testing.T) {
	for name, text := range map[string]string{
		"helm values":    "replicas: 1\nservice: {type: ClusterIP}\n",
		"chart":          "apiVersion: v2\nname: x\nversion: 1.0.0\n",
		"docker compose": "services:\n  web: {image: x}\n",
		"workflow":       "on: [push]\njobs: {}\n",
		"items":          "apiVersion: v1\nitems: {a: b}\n",
	} {
		file := Read("f.yaml", []byte("# note\n"+text))
		if len(file.Objects)+len(file.Problems) != 0 || len(file.Skipped) != 1 {
			t.Errorf("%s: %v %v %v", name, file.Objects, file.Problems, file.Skipped)
			continue
		}
		if got, want := file.Skipped[0], (Skipped{"f.yaml", 2, 1, "", "no apiVersion and kind: not a Kubernetes object"}); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestReadHalfAnObject(t *testing.T) {
	for _, text := range []string{"# note\nkind: Service\nports: []\n", "\n{\"kind\": \"Service\"}"} {
		file := Read("f.yaml", []byte(text))
		if len(file.Objects)+len(file.Problems) != 0 || len(file.Skipped) != 1 || file.Skipped[0].Kind != "Service" {
			t.Fatalf("%q: %+v", text, file)
		}
		wantStrings(t, []string{file.Skipped[0].Half().String()},
			"f.yaml:2:1: apiVersion is missing; every Kubernetes object states apiVersion and kind")
	}
}
