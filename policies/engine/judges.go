package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// judgedPath is what the ratchet compares: a field, or all keys of an object that begin alike.
type judgedPath struct {
	keys fieldKeys // of the field, or of the object
	// prefix is the beginning of keys, behind the value or each of the values of a parameter if there is one.
	byPrefix          bool
	parameter, prefix string
}

// Unchanged tells whether no path that the rule judges with complete parameters differs between the two objects.
func (r *Rule) Unchanged(object, old Document, parameters map[string]any) bool {
	if r.judged == nil {
		return sameToPeople(object, old)
	}
	for _, path := range r.judged {
		if !path.unchanged(object.Get(path.keys...), old.Get(path.keys...), parameters) {
			return false
		}
	}
	return true
}

func (p judgedPath) unchanged(field, old Document, parameters map[string]any) bool {
	if !p.byPrefix {
		return field.Equal(old)
	}
	prefixes := p.prefixes(parameters)
	return !differs(field, old, prefixes) && !differs(old, field, prefixes)
}

// differs tells whether some key of a, with one of the prefixes, has another value in b.
func differs(a, b Document, prefixes []string) bool {
	object, ok := a.value.(ast.Object)
	if !ok {
		return a.Exists() && !a.Equal(b)
	}
	return object.Until(func(key, value *ast.Term) bool {
		name, _ := key.Value.(ast.String)
		judged := slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(string(name), prefix) })
		return judged && !Document{value.Value}.Equal(b.Get(string(name)))
	})
}

// prefixes are those that the parameters make of the path. A parameter is a text, or a list of texts.
func (p judgedPath) prefixes(parameters map[string]any) []string {
	if p.parameter == "" {
		return []string{p.prefix}
	}
	switch value := parameters[p.parameter].(type) {
	case string:
		return []string{value + p.prefix}
	case []any:
		out := make([]string, 0, len(value))
		for _, each := range value {
			text, _ := each.(string)
			out = append(out, text+p.prefix)
		}
		return out
	}
	return []string{""} // it is neither: everything counts
}

// setJudged fixes the paths of the ratchet: those that METADATA names, or else spec and the
// annotations that the rule names.
func (r *Rule) setJudged(annotations []string) error {
	if r.Judges == nil {
		r.judged = append(r.judged, judgedPath{keys: fieldKeys{"spec"}})
		for _, name := range annotations {
			r.judged = append(r.judged, judgedPath{keys: fieldKeys{"metadata", "annotations", name}})
		}
		return nil
	}
	for _, text := range r.Judges {
		path, err := r.parseJudged(text)
		if err != nil {
			return fault(r.module.Package.Location, "METADATA custom.judges: %v", err)
		}
		r.judged = append(r.judged, path)
	}
	return nil
}

var prefixKey = regexp.MustCompile(`^(?:\{([A-Za-z0-9_]+)\})?([^{}*]*)\*$`)

// parseJudged reads a path, whose last key may be a prefix such as "example.com/*" or "{parameter}/*".
func (r *Rule) parseJudged(text string) (judgedPath, error) {
	keys, err := parseFieldKeys(text)
	if err != nil {
		return judgedPath{}, err
	}
	last := keys[len(keys)-1]
	if i := slices.IndexFunc(keys, func(key string) bool { return strings.ContainsAny(key, "{}*") }); i < 0 {
		return judgedPath{keys: keys}, nil
	} else if i < len(keys)-1 || !prefixKey.MatchString(last) {
		return judgedPath{}, fmt.Errorf("%q: want * at the end of the last key, such as metadata.annotations[\"example.com/*\"], and a parameter only in front, such as \"{prefixes}/*\"", text)
	}
	match := prefixKey.FindStringSubmatch(last)
	properties, _ := r.Parameters["properties"].(map[string]any)
	if _, known := properties[match[1]]; match[1] != "" && !known {
		return judgedPath{}, fmt.Errorf("%q: there is no parameter %s", text, match[1])
	}
	return judgedPath{keys: keys[:len(keys)-1], byPrefix: true, parameter: match[1], prefix: match[2]}, nil
}

// JudgedPaths are the paths that Unchanged compares.
func (r *Rule) JudgedPaths() []string {
	var out []string
	for _, judged := range r.judged {
		keys := judged.keys
		if judged.byPrefix {
			name := judged.prefix + "*"
			if judged.parameter != "" {
				name = "{" + judged.parameter + "}" + name
			}
			keys = append(slices.Clone(keys), name)
		}
		path := ""
		for _, key := range keys {
			switch {
			case strings.ContainsAny(key, "./*"):
				path += "[" + key + "]"
			case path == "":
				path = key
			default:
				path += "." + key
			}
		}
		out = append(out, path)
	}
	return out
}

// fieldKeys are the object keys that lead to a field.
type fieldKeys []string

var fieldPart = regexp.MustCompile(`^(?:\.?([A-Za-z0-9_-]+)|\["?([^"\]]+)"?\])`)

// parseFieldKeys reads a path of object keys such as spec, metadata.labels or
// metadata.annotations["example.com/x"].
func parseFieldKeys(path string) (fieldKeys, error) {
	var keys fieldKeys
	for rest := path; rest != ""; {
		match := fieldPart.FindStringSubmatch(rest)
		if match == nil {
			return nil, fmt.Errorf("%q: want a path of keys such as spec.rules or metadata.annotations[\"example.com/x\"]", path)
		}
		keys = append(keys, match[1]+match[2])
		rest = rest[len(match[0]):]
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("want a path of keys such as spec, found nothing")
	}
	return keys, nil
}
