package engine

import (
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kindConditions are values of parameters, by the kinds that a rule needs only with them.
type kindConditions map[schema.GroupKind]map[string]any

// conditionalKinds reads a list of kinds: group/Kind, or {kind, if} where if holds values of parameters without which the
// rule doesn't need the kind.
func (r *customReader) conditionalKinds(key string) ([]schema.GroupKind, kindConditions) {
	value, ok := r.get(key)
	if !ok {
		return nil, nil
	}
	items, ok := value.([]any)
	if !ok {
		r.bad(key, "want a list of group/Kind, or of {kind, if}")
		return nil, nil
	}
	var out []schema.GroupKind
	conditions := kindConditions{}
	for _, item := range items {
		text, condition, ok := conditionalKind(item)
		if !ok {
			r.bad(key, "want group/Kind, or {kind: group/Kind, if: {PARAMETER: text or boolean}}, found %v", item)
			continue
		}
		kind, err := ParseGroupKind(text)
		if err != nil {
			r.bad(key, "%v", err)
			continue
		}
		if _, conditional := conditions[kind]; slices.Contains(out, kind) && (conditional || condition != nil) {
			r.bad(key, "%s is named twice, and only one if counts", text)
			continue
		}
		if out = append(out, kind); condition != nil {
			conditions[kind] = condition
		}
	}
	return out, conditions
}

func conditionalKind(item any) (kind string, condition map[string]any, ok bool) {
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

// checkConditions refuses conditions that name no parameter: they would never hold, and the rule lack the kinds.
func (r *customReader) checkConditions(key string, conditions kindConditions, parameters map[string]any) {
	properties, _ := parameters["properties"].(map[string]any)
	for kind, condition := range conditions {
		for _, name := range slices.Sorted(maps.Keys(condition)) {
			if _, known := properties[name]; !known {
				r.bad(key, "%s: there is no parameter %s", FormatGroupKind(kind), name)
			}
		}
	}
}

// under are those of kinds whose conditions hold with complete parameters.
func (c kindConditions) under(kinds []schema.GroupKind, parameters map[string]any) []schema.GroupKind {
	var out []schema.GroupKind
	for _, kind := range kinds {
		holds := true
		for name, value := range c[kind] {
			holds = holds && reflect.DeepEqual(parameters[name], value)
		}
		if holds {
			out = append(out, kind)
		}
	}
	return out
}

// StateUnder are the kinds that the rule asks about with complete parameters.
func (r *Rule) StateUnder(parameters map[string]any) []schema.GroupKind {
	return r.stateIf.under(r.State, parameters)
}

// GeneratesUnder are the kinds that the rule may generate with complete parameters.
func (r *Rule) GeneratesUnder(parameters map[string]any) []schema.GroupKind {
	return r.generatesIf.under(r.Generates, parameters)
}
