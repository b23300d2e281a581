package decisionlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/sluice-gate/sluice/policies/engine"
)

// masked stands for a value that must not be in the log.
const masked = "[masked]"

// Masks say what of an object must not be in the log. The zero Masks hide what always is hidden: the values of Secrets, and
// kubectl's copy of the whole object.
type Masks struct {
	pointers    [][]string
	annotations []*regexp.Regexp
}

var annotationGlob = regexp.MustCompile(`^[A-Za-z0-9*]([-A-Za-z0-9_./*]*[A-Za-z0-9*])?$`)

// ParseMasks reads JSON pointers into objects (/spec/tls/*/secretName; * is any key or item) and globs of annotations
// (example.com/token-*; * is any text). An annotation is hidden in templates, too.
func ParseMasks(texts []string) (Masks, error) {
	var m Masks
	for _, text := range texts {
		switch {
		case len(text) > 1 && text[0] == '/':
			keys := strings.Split(text[1:], "/")
			for i, key := range keys {
				if rest := strings.NewReplacer("~0", "", "~1", "").Replace(key); strings.Contains(rest, "~") {
					return Masks{}, fmt.Errorf("%q is no JSON pointer: ~ is written ~0, and / in a key ~1", text)
				}
				keys[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
			}
			m.pointers = append(m.pointers, keys)
		case annotationGlob.MatchString(text):
			m.annotations = append(m.annotations, regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, ".*")+"$"))
		default:
			return Masks{}, fmt.Errorf("%q: expected a JSON pointer, such as /spec/tls/*/secretName, or an annotation, such as example.com/token-*", text)
		}
	}
	return m, nil
}

// apply writes an object without what is hidden.
func (m Masks) apply(object engine.Document) ([]byte, error) {
	data, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var root any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&root); err != nil {
		return nil, err
	}
	if object.Get("kind").Text() == "Secret" && object.Get("apiVersion").Text() == "v1" {
		hide(root, []string{"data", "*"})
		hide(root, []string{"stringData", "*"})
	}
	for _, pointer := range m.pointers {
		hide(root, pointer)
	}
	m.hideAnnotations(root)
	return json.Marshal(root)
}

// hide masks what a pointer leads to, if anything.
func hide(value any, pointer []string) {
	last := len(pointer) == 1
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch {
			case !matches(pointer[0], key):
			case last:
				v[key] = masked
			default:
				hide(inner, pointer[1:])
			}
		}
	case []any:
		for i, inner := range v {
			switch {
			case !matches(pointer[0], fmt.Sprint(i)):
			case last:
				v[i] = masked
			default:
				hide(inner, pointer[1:])
			}
		}
	}
}

func matches(pattern, key string) bool { return pattern == "*" || pattern == key }

// hideAnnotations masks annotations of the object and of the templates in it.
func (m Masks) hideAnnotations(value any) {
	switch v := value.(type) {
	case map[string]any:
		if metadata, ok := v["metadata"].(map[string]any); ok {
			annotations, _ := metadata["annotations"].(map[string]any)
			for key := range annotations {
				if m.isHidden(key) {
					annotations[key] = masked
				}
			}
		}
		for _, inner := range v {
			m.hideAnnotations(inner)
		}
	case []any:
		for _, inner := range v {
			m.hideAnnotations(inner)
		}
	}
}

func (m Masks) isHidden(annotation string) bool {
	if annotation == corev1.LastAppliedConfigAnnotation {
		return true
	}
	for _, glob := range m.annotations {
		if glob.MatchString(annotation) {
			return true
		}
	}
	return false
}

// hides tells whether a field path leads to, or into, what is hidden: what is said about the field may repeat its value.
func (m Masks) hides(field string) bool {
	keys := keysOf(field)
	for _, pointer := range m.pointers {
		if len(pointer) <= len(keys) && matchAll(pointer, keys) {
			return true
		}
	}
	for i, key := range keys {
		if i > 0 && keys[i-1] == "annotations" && m.isHidden(key) {
			return true
		}
	}
	return false
}

func matchAll(pointer, keys []string) bool {
	for i, pattern := range pointer {
		if !matches(pattern, keys[i]) {
			return false
		}
	}
	return true
}

// keysOf takes a Kubernetes field path apart: spec.tls[0].hosts and metadata.annotations[example.com/a] have three keys.
func keysOf(field string) []string {
	var keys []string
	for field != "" {
		if inner, found := strings.CutPrefix(field, "["); found {
			key, rest, _ := strings.Cut(inner, "]")
			keys, field = append(keys, strings.Trim(key, `"'`)), strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			end = len(field)
		}
		keys, field = append(keys, field[:end]), strings.TrimPrefix(field[end:], ".")
	}
	return keys
}
