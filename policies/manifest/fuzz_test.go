package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead: reading never panics, every position is in the file, and no edits
// are no change.
func FuzzRead(f *testing.F) {
	inputs, err := filepath.Glob("testdata/apply/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range inputs {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(positions))
	f.Add([]byte(goodHead + "a: [" + goodTail))
	f.Add([]byte(bomb()))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := Read("f.yaml", data)
		lines := bytes.Count(data, []byte("\n")) + 1
		check := func(what string, line, column int) {
			if line < 1 || line > lines || column < 1 {
				t.Errorf("%s at %d:%d of %d lines", what, line, column, lines)
			}
		}
		for _, p := range file.Problems {
			if p.Message == "" {
				t.Error("problem without message")
			}
			check(p.String(), p.Line, p.Column)
		}
		for _, s := range file.Skipped {
			check(s.Reason, s.Line, s.Column)
		}
		for _, o := range file.Objects {
			if !json.Valid(o.JSON) {
				t.Errorf("not JSON: %s", o.JSON)
			}
			check(o.Name, o.Line, o.Column)
			for _, path := range []string{"metadata.name", "spec.rules[0].http.paths[0]", "spec.ports[3].port"} {
				line, column := o.Position(path)
				check(path, line, column)
			}
			_, problems := Decode(o, Options{})
			for _, p := range problems {
				check(p.String(), p.Line, p.Column)
			}
		}
		same, err := Apply(file, nil)
		if err != nil || !bytes.Equal(same, data) {
			t.Errorf("no edits changed the text: %v", err)
		}
	})
}

// FuzzApply: a patch either fails or does exactly what it says, which Apply
// itself checks for the document; here the other objects and a second run.
func FuzzApply(f *testing.F) {
	inputs, err := filepath.Glob("testdata/apply/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range inputs {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "/metadata/labels", `{"a":"yes"}`)
		f.Add(data, "/spec/ports/0", `{"port":1,"list":["a",{"b":[[1]]}]}`)
	}
	f.Fuzz(func(t *testing.T, data []byte, path, value string) {
		file := Read("f.yaml", data)
		if len(file.Objects) == 0 || !json.Valid([]byte(value)) {
			return
		}
		ops := []Op{{Op: "replace", Path: path, Value: json.RawMessage(value)}}
		out, err := Apply(file, []Edit{{Object: file.Objects[0], Ops: ops}})
		if err != nil {
			return
		}
		after := Read("f.yaml", out)
		if len(after.Objects) != len(file.Objects) {
			return // the patch may have changed the kind
		}
		for i := range file.Objects[1:] {
			if !bytes.Equal(after.Objects[i+1].JSON, file.Objects[i+1].JSON) && file.Objects[i+1].doc != file.Objects[0].doc {
				t.Errorf("object %d changed:\n%s\n%s", i+1, file.Objects[i+1].JSON, after.Objects[i+1].JSON)
			}
		}
		again, err := Apply(after, []Edit{{Object: after.Objects[0], Ops: ops}})
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("applied twice: %v\n%s\n%s", err, out, again)
		}
	})
}
