package manifest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/yaml"
)

// randomValue is a JSON value with the strings that YAML finds hard.
func randomValue(r *rand.Rand, depth int) any {
	words := []string{"a", "yes", "1", "1.5", "on: off", "# no", "- x", "{}", "[a]", "", " lead", "trail ", "multi\nline\n", "a,b", "*x", "&x",
		"!t", "'q'", `"d"`, `back\slash`, "é", "null", "~", "0x1f", "1e3", "2001-01-01", "a: b", "key#x", "tab\there", "=", "12:30", "%x", "@x", "`x", "?", "-", "|", ">-"}
	switch n := r.IntN(10); {
	case n < 2 && depth > 0:
		m := map[string]any{}
		for range r.IntN(4) {
			key := strings.ReplaceAll(words[r.IntN(len(words))], "\n", " ") // of several lines: `? |`, refused
			m[key] = randomValue(r, depth-1)
		}
		return m
	case n < 4 && depth > 0:
		list := []any{}
		for range r.IntN(4) {
			list = append(list, randomValue(r, depth-1))
		}
		return list
	case n == 4:
		return float64(r.IntN(1000))
	case n == 5:
		return r.IntN(2) == 0
	}
	return words[r.IntN(len(words))]
}

// randomOp is an operation that is valid on a value.
func randomOp(r *rand.Rand, value any, path string) Op {
	switch v := value.(type) {
	case map[string]any:
		keys := sortedKeys(v)
		if len(keys) > 0 && r.IntN(4) > 0 {
			key := keys[r.IntN(len(keys))]
			child := path + pointerOf([]string{key})
			if r.IntN(3) > 0 {
				if op := randomOp(r, v[key], child); op.Op != "" {
					return op
				}
			}
			return changeAt(r, child)
		}
		return Op{Op: "add", Path: path + pointerOf([]string{fmt.Sprint("new/", r.IntN(5))}), Value: randomJSON(r)}
	case []any:
		if len(v) > 0 && r.IntN(3) > 0 {
			i := r.IntN(len(v))
			child := fmt.Sprint(path, "/", i)
			if op := randomOp(r, v[i], child); op.Op != "" && r.IntN(2) == 0 {
				return op
			}
			return changeAt(r, child)
		}
		at := []string{"-", fmt.Sprint(r.IntN(len(v) + 1))}
		return Op{Op: "add", Path: path + "/" + at[r.IntN(2)], Value: randomJSON(r)}
	}
	return Op{}
}

func changeAt(r *rand.Rand, path string) Op {
	if r.IntN(2) == 0 {
		return Op{Op: "remove", Path: path}
	}
	return Op{Op: "replace", Path: path, Value: randomJSON(r)}
}

func randomJSON(r *rand.Rand) json.RawMessage {
	text, err := json.Marshal(randomValue(r, 3))
	if err != nil {
		panic(err)
	}
	return text
}

// TestApplyAnything: random operations on random objects, in three spellings,
// all succeed. Apply checks its own result, so success means correct.
func TestApplyAnything(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		body := map[string]any{}
		for i := range 3 {
			body[fmt.Sprint("k", i)] = randomValue(r, 4)
		}
		object := map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "x"}, "spec": body}
		text := spell(t, object, seed%4)
		var ops []Op
		value := any(body)
		for range 3 {
			op := randomOp(r, value, "/spec")
			local := op
			local.Path = strings.TrimPrefix(op.Path, "/spec")
			now, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			after, err := patchJSON(now, local)
			if err != nil {
				t.Fatal(err)
			}
			if value, err = decodeAny(after); err != nil {
				t.Fatal(err)
			}
			ops = append(ops, op)
		}
		file := Read("f.yaml", []byte(text))
		if len(file.Objects) != 1 {
			t.Fatalf("seed %d: %v\n%s", seed, file.Problems, text)
		}
		if _, err := Apply(file, []Edit{{Object: file.Objects[0], Ops: ops}}); err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, text)
		}
	}
}

// spell writes an object as block YAML, as YAML with comments, as indented JSON
// or as JSON on one line.
func spell(t *testing.T, object any, how uint64) string {
	t.Helper()
	var text []byte
	var err error
	switch how {
	case 0, 1:
		text, err = kyaml.Marshal(object)
	case 2:
		text, err = json.MarshalIndent(object, "", "  ")
	default:
		text, err = json.Marshal(object)
	}
	if err != nil {
		t.Fatal(err)
	}
	if how == 1 {
		return "# head\n" + strings.Replace(string(text), "\nspec:", "\n\n# about spec\nspec: # behind", 1) + "# foot\n"
	}
	return string(text)
}
