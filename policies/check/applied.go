package check

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Applied is what becomes of an object when a generated one of the same identity is applied over it, as the generator
// does it in a cluster: by server-side apply, which takes the fields that it names from others and leaves the rest. The
// fields are the paths of what changes, sorted, and none if the object is already as it was generated.
func Applied(existing, generated engine.Document) (after engine.Document, fields []string, err error) {
	var was, over any
	for _, read := range []struct {
		from engine.Document
		into *any
	}{{existing, &was}, {generated, &over}} {
		text, err := json.Marshal(read.from)
		if err == nil {
			err = json.Unmarshal(text, read.into)
		}
		if err != nil {
			return engine.Document{}, nil, err
		}
	}
	merged, err := engine.FromGo(overlay(was, over, ""))
	if err != nil {
		return engine.Document{}, nil, err
	}
	if _, after, err = Placed(merged, existing.Get("metadata", "namespace").Text()); err != nil {
		return engine.Document{}, nil, err
	}
	var is any
	text, err := json.Marshal(after)
	if err == nil {
		err = json.Unmarshal(text, &is)
	}
	return after, differences(was, is, ""), err
}

// pointerKey escapes a key for a JSON pointer.
var pointerKey = strings.NewReplacer("~", "~0", "/", "~1")

// overlay is what was, with the fields of over. Lists are replaced, and so are selectors, which the API types declare
// atomic.
func overlay(was, over any, key string) any {
	old, isMap := was.(map[string]any)
	fields, isOver := over.(map[string]any)
	if !isMap || !isOver || isSelector(key) {
		return over
	}
	merged := maps.Clone(old)
	for name, value := range fields {
		merged[name] = overlay(old[name], value, name)
	}
	return merged
}

func isSelector(key string) bool { return strings.HasSuffix(strings.ToLower(key), "selector") }

// differences are the field paths at which two values differ, sorted. at is the JSON pointer to both.
func differences(a, b any, at string) []string {
	if reflect.DeepEqual(a, b) {
		return nil
	}
	left, isLeft := a.(map[string]any)
	right, isRight := b.(map[string]any)
	if !isLeft || !isRight || isSelector(at) {
		return []string{fieldPath(at)}
	}
	keys := maps.Clone(left)
	maps.Copy(keys, right)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		out = append(out, differences(left[key], right[key], at+"/"+pointerKey.Replace(key))...)
	}
	return out
}
