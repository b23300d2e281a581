package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// header is what makes a value a Kubernetes object.
type header struct {
	APIVersion, Kind      any
	Metadata, Spec, Items json.RawMessage
}

// readHeader reads keys as kubectl does: as they are spelt. Beside kind, a Kind is one more field.
func readHeader(raw json.RawMessage) (header, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return header{}, err
	}
	h := header{Metadata: fields["metadata"], Spec: fields["spec"], Items: fields["items"]}
	for name, into := range map[string]*any{"apiVersion": &h.APIVersion, "kind": &h.Kind} {
		if text := fields[name]; text != nil {
			if err := json.Unmarshal(text, into); err != nil {
				return header{}, err
			}
		}
	}
	return h, nil
}

// looksLikeObject tells a Kubernetes object from other YAML. One of apiVersion and kind alone is a mistake only beside
// metadata, spec or the items of a list: a Chart.yaml has an apiVersion too, and a pipeline of Drone CI a kind.
func looksLikeObject(h header) bool {
	kind, _ := h.Kind.(string)
	switch {
	case h.APIVersion != nil && h.Kind != nil, h.Metadata != nil && h.Spec != nil:
		return true
	case h.APIVersion == nil && h.Kind == nil:
		return false
	}
	return h.Metadata != nil || h.Spec != nil || kind == "List" ||
		len(h.Items) > 0 && h.Items[0] == '[' && (h.Kind == nil || strings.HasSuffix(kind, "List"))
}

// types reads apiVersion and kind, reporting what is missing.
func (c collector) types(v candidate, h header) (apiVersion, kind string, ok bool) {
	read := func(field, fallback string, value any) string {
		text, isString := value.(string)
		switch {
		case value == nil && fallback != "":
			return fallback
		case value == nil || text == "" && isString:
			c.report(v.node, field, field+" is missing; "+statesBoth)
		case !isString:
			key := nearest(v.node, parseFieldPath(field))
			c.report(key, field, fmt.Sprintf("expected a string, got %s; quote it", showJSON(value)))
		}
		return text
	}
	apiVersion = read("apiVersion", v.apiVersion, h.APIVersion)
	kind = read("kind", v.kind, h.Kind)
	if gv, err := schema.ParseGroupVersion(apiVersion); apiVersion != "" && (err != nil || gv.Version == "") {
		key := nearest(v.node, parseFieldPath("apiVersion"))
		c.report(key, "apiVersion", fmt.Sprintf("%q is no version of an API; expected v1, or a group and a version such as apps/v1", apiVersion))
		return "", "", false
	}
	return apiVersion, kind, apiVersion != "" && kind != ""
}

// statesBoth is why a missing apiVersion or kind is an error.
const statesBoth = "every Kubernetes object states apiVersion and kind"

// Other is the problem of what was skipped, for those who expect nothing but objects.
func (s Skipped) Other() Problem {
	return Problem{File: s.File, Line: s.Line, Column: s.Column, Message: s.Reason}
}

// Half is the problem of what was skipped, for those who judge objects of its Kind: it is half of one.
func (s Skipped) Half() Problem {
	return Problem{File: s.File, Line: s.Line, Column: s.Column, Field: "apiVersion", Message: "apiVersion is missing; " + statesBoth}
}
