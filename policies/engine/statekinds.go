package engine

import (
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// state reads the kinds that the rule asks about: group/Kind, or {kind, if} where if holds values of parameters without
// which the rule doesn't ask.
func (r *customReader) state() ([]schema.GroupKind, map[schema.GroupKind]map[string]any) {
	value, ok := r.get("state")
	if !ok {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok {
		r.bad("state", "want a list of group/Kind, or of {kind, if}")
		return nil, nil
	}
	var out []schema.GroupKind
	conditions := map[schema.GroupKind]map[string]any{}
	for _, item := range items {
		text, condition, ok := stateItem(item)
		if !ok {
			r.bad("state", "want group/Kind, or {kind: group/Kind, if: {PARAMETER: text or boolean}}, found %v", item)
			continue
		}
		kind, err := ParseGroupKind(text)
		if err != nil {
			r.bad("state", "%v", err)
			continue
		}
		if _, conditional := conditions[kind]; slices.Contains(out, kind) && (conditional || condition != nil) {
			r.bad("state", "%s is named twice, and only one if counts", text)
			continue
		}
		if out = append(out, kind); condition != nil {
			conditions[kind] = condition
		}
	}
	return out, conditions
}

func stateItem(item any) (kind string, condition map[string]any, ok bool) {
	if text, isText := item.(string); isText {
		return text, nil, text != ""
	}
	object, _ := item.(map[string]any)
	kind, hasKind := object["kind"].(string)
	condition, hasCondition := object["if"].(map[string]any)
	ok = hasKind && hasCondition && len(object) == 2 && len(condition) > 0
	for _, value := range condition {
		switch value.(type) {
		case string, bool:
		default:
			ok = false // a number has more than one form
		}
	}
	return kind, condition, ok
}

// conditions refuses conditions that name no parameter: they would never hold, and the kinds not be watched.
func (r *customReader) conditions(m Metadata) {
	properties, _ := m.Parameters["properties"].(map[string]any)
	for kind, condition := range m.conditions {
		for _, name := range slices.Sorted(maps.Keys(condition)) {
			if _, known := properties[name]; !known {
				r.bad("state", "%s: there is no parameter %s", FormatGroupKind(kind), name)
			}
		}
	}
}

// StateUnder are the kinds that the rule asks about with complete parameters.
func (r *Rule) StateUnder(parameters map[string]any) []schema.GroupKind {
	var out []schema.GroupKind
	for _, kind := range r.State {
		holds := true
		for name, value := range r.Metadata.conditions[kind] {
			holds = holds && reflect.DeepEqual(parameters[name], value)
		}
		if holds {
			out = append(out, kind)
		}
	}
	return out
}
