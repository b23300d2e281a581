package manifest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update rewrites the golden files: go test ./policies/manifest -update.
var update = flag.Bool("update", false, "rewrite golden files")

// applyCase is a file testdata/apply/NAME.in.{yaml,json} and what to do to it.
type applyCase struct {
	file   string
	object int // index among the file's objects
	ops    string
	stored bool // the operations are computed against the defaulted object
}

func applyCases() []applyCase {
	return []applyCase{
		{file: "annotation.yaml", ops: `[
			{"op":"add","path":"/metadata/annotations/nginx.ingress.kubernetes.io~1ssl-redirect","value":"true"},
			{"op":"add","path":"/spec/tls","value":[{"hosts":["a.example.com","*.b.example.com"],"secretName":"a"}]},
			{"op":"replace","path":"/spec/rules/0/host","value":"b.example.com"},
			{"op":"replace","path":"/metadata/labels/tier","value":"yes"}]`},
		{file: "parents.yaml", object: 1, ops: `[
			{"op":"add","path":"/metadata/annotations","value":{}},
			{"op":"add","path":"/metadata/annotations/example.com~1n","value":"1"},
			{"op":"add","path":"/spec/policyTypes/-","value":"Egress"},
			{"op":"add","path":"/spec/egress","value":[{"to":[{"namespaceSelector":{}}],"ports":[{"protocol":"UDP","port":53},{"protocol":"TCP","port":53}]}]}]`, stored: true},
		{file: "lists.yaml", ops: `[
			{"op":"add","path":"/spec/ports/0","value":{"name":"first","port":1}},
			{"op":"add","path":"/spec/ports/2","value":{"name":"third","port":3}},
			{"op":"remove","path":"/spec/ports/1"},
			{"op":"remove","path":"/spec/externalIPs"},
			{"op":"remove","path":"/metadata/labels/only"},
			{"op":"replace","path":"/spec/selector","value":{"app":"new"}},
			{"op":"add","path":"/spec/loadBalancerSourceRanges/-","value":"198.51.100.0/24"}]`},
		{file: "flow.yaml", ops: `[
			{"op":"add","path":"/metadata/labels/b","value":"2"},
			{"op":"add","path":"/spec/tls/0/hosts/-","value":"c.example.com"},
			{"op":"add","path":"/spec/tls/0/hosts/0","value":"*.example.com"},
			{"op":"remove","path":"/spec/tls/0/hosts/1"},
			{"op":"replace","path":"/spec/ingressClassName","value":"other"},
			{"op":"remove","path":"/spec/rules/0/http"}]`},
		{file: "items.yaml", object: 1, ops: `[
			{"op":"add","path":"/metadata/labels","value":{"a":"b"}},
			{"op":"replace","path":"/spec/type","value":"ClusterIP"},
			{"op":"remove","path":"/spec/ports/0/nodePort"}]`},
		{file: "pretty.json", ops: `[
			{"op":"add","path":"/metadata/labels/x~1y","value":"<z>"},
			{"op":"add","path":"/spec/ports/-","value":{"name":"b","port":2}},
			{"op":"add","path":"/spec/allocateLoadBalancerNodePorts","value":false},
			{"op":"remove","path":"/spec/externalIPs"}]`},
		{file: "compact.json", object: 1, ops: `[
			{"op":"replace","path":"/spec/type","value":"ClusterIP"},
			{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`},
		{file: "crlf.yaml", ops: `[
			{"op":"add","path":"/metadata/labels/b","value":"2"},
			{"op":"remove","path":"/spec/selector/app"}]`},
		{file: "block.yaml", ops: `[
			{"op":"replace","path":"/metadata/annotations/example.com~1note","value":"short"},
			{"op":"add","path":"/metadata/annotations/example.com~1last","value":"two\nlines: #"},
			{"op":"replace","path":"/metadata/annotations/example.com~1folded","value":{"a":1}},
			{"op":"add","path":"/spec/x","value":null},
			{"op":"add","path":"/spec/<<","value":"<<"}]`},
	}
}

func TestApplyGolden(t *testing.T) {
	for _, c := range applyCases() {
		t.Run(c.file, func(t *testing.T) {
			in, err := os.ReadFile(filepath.Join("testdata", "apply", c.file))
			if err != nil {
				t.Fatal(err)
			}
			file := Read(c.file, in)
			if len(file.Problems) > 0 {
				t.Fatal(file.Problems)
			}
			edit := Edit{Object: file.Objects[c.object]}
			if err := json.Unmarshal([]byte(c.ops), &edit.Ops); err != nil {
				t.Fatal(err)
			}
			if c.stored {
				decoded, problems := Decode(edit.Object, Options{})
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				edit.Base = decoded.JSON
			}
			got, err := Apply(file, []Edit{edit})
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", "apply", strings.Replace(c.file, ".", ".golden.", 1)), got)
			unedited, err := Apply(file, nil)
			if err != nil || string(unedited) != string(in) {
				t.Errorf("no edits changed the text (%v)", err)
			}
		})
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		diff, err := Diff(path, want, got)
		t.Errorf("differs from the golden file (%v):\n%s", err, diff)
	}
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	const text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a # name\nspec:\n  ports: [{port: 80}]\n"
	ops := []Op{
		{Op: "add", Path: "/metadata/labels", Value: json.RawMessage(`{"a":"on"}`)},
		{Op: "add", Path: "/spec/type", Value: json.RawMessage(`"ClusterIP"`)},
	}
	once := applyText(t, text, ops)
	if want := "apiVersion: v1\nkind: Service\nmetadata:\n  name: a # name\n  labels:\n    a: \"on\"\nspec:\n  ports: [{port: 80}]\n  type: ClusterIP\n"; once != want {
		t.Errorf("got:\n%s\nwant:\n%s", once, want)
	}
	if twice := applyText(t, once, ops); twice != once {
		t.Errorf("applied twice:\n%s", twice)
	}
}

func applyText(t *testing.T, text string, ops []Op) string {
	t.Helper()
	file := Read("f.yaml", []byte(text))
	if len(file.Objects) == 0 {
		t.Fatal(file.Problems)
	}
	out, err := Apply(file, []Edit{{Object: file.Objects[0], Ops: ops}})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestApplyRefuses(t *testing.T) {
	const anchored = `apiVersion: v1
kind: Service
metadata:
  name: a
  labels: &labels
    app: a
  annotations:
    <<: *labels
    own: b
spec:
  selector: *labels
  ports: [{port: 80}]
`
	cases := []struct{ op, path, value, want string }{
		{"add", "/spec/selector/x", `"y"`, "/spec/selector is an alias (*labels on line 11): what it stands for belongs to another field; change it there"},
		{"add", "/metadata/labels/x", `"y"`, "/metadata/labels is anchored (&labels) and used again on line 8: changing it would change both"},
		{"remove", "/metadata/labels", ``, "anchor &labels on line 5 is used again on line 8: changing it would change both"},
		{"remove", "/metadata/annotations/app", ``, "app comes from a merge key (<<); change it where it is anchored"},
		{"add", "/spec/nothing/x", `1`, "/spec/nothing doesn't exist"},
		{"remove", "/spec/nothing", ``, "there is nothing at this path"},
		{"move", "/spec/type", `1`, `unknown operation "move"; expected add, replace or remove`},
		{"add", "", `1`, "the whole object can't be patched"},
	}
	for _, c := range cases {
		t.Run(c.op+c.path, func(t *testing.T) {
			file := Read("f.yaml", []byte(anchored))
			_, err := Apply(file, []Edit{{Object: file.Objects[0], Ops: []Op{{Op: c.op, Path: c.path, Value: json.RawMessage(c.value)}}}})
			want := fmt.Sprintf("apply patch to f.yaml: Service a: %s %s: %s", c.op, c.path, c.want)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	// A key of its own may override a merged one, and an alias may be replaced.
	file := Read("f.yaml", []byte(anchored))
	out, err := Apply(file, []Edit{{Object: file.Objects[0], Ops: []Op{
		{Op: "replace", Path: "/metadata/annotations/app", Value: json.RawMessage(`"c"`)},
		{Op: "replace", Path: "/spec/selector", Value: json.RawMessage(`{"app":"d"}`)},
	}}})
	want := strings.Replace(anchored, "    own: b\n", "    own: b\n    app: c\n", 1)
	want = strings.Replace(want, "selector: *labels", "selector:\n    app: d", 1)
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestApplyOtherFile(t *testing.T) {
	a, b := Read("a.yaml", []byte(minimalService)), Read("b.yaml", []byte(minimalService))
	_, err := Apply(a, []Edit{{Object: b.Objects[0]}})
	if err == nil || err.Error() != "apply patch: Service s isn't an object of a.yaml" {
		t.Error(err)
	}
}

const minimalService = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n"

func TestDiff(t *testing.T) {
	got, err := Diff("f.yaml", []byte("a\nb\nc"), []byte("a\nB\nc"))
	want := "--- a/f.yaml\n+++ b/f.yaml\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n\\ No newline at end of file\n"
	if err != nil || got != want {
		t.Errorf("%v\n%q", err, got)
	}
	if got, err := Diff("f", []byte("a\n"), []byte("a\n")); got != "" || err != nil {
		t.Error(got, err)
	}
}

func TestDiffName(t *testing.T) {
	for name, want := range map[string]string{
		"deploy/web.yaml":    "--- a/deploy/web.yaml\n+++ b/deploy/web.yaml\n",
		"my deploy/web.yaml": "--- a/my deploy/web.yaml\t\n+++ b/my deploy/web.yaml\t\n",
		"\"a\n+b\\é\".yaml":  `--- "a/\"a\012+b\\é\".yaml"` + "\n" + `+++ "b/\"a\012+b\\é\".yaml"` + "\n",
	} {
		if got, err := Diff(name, []byte("a\n"), []byte("b\n")); err != nil || !strings.HasPrefix(got, want+"@@ ") {
			t.Errorf("%q: %v\n%s", name, err, got)
		}
	}
}
