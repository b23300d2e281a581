package manifest

import (
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"
)

// isPlainString says whether kubectl's YAML reads an unquoted scalar as exactly
// this string, rather than as a number, a boolean, a comment or a mapping.
func isPlainString(text string) bool {
	converted, err := kyaml.YAMLToJSON([]byte("k: " + text))
	if err != nil {
		return false
	}
	var value struct{ K any }
	if json.Unmarshal(converted, &value) != nil {
		return false
	}
	got, ok := value.K.(string)
	return ok && got == text
}

// scalarText is a JSON scalar in YAML, in the wanted style if it is a string and
// the style can hold it. Flow says that it goes between brackets, where commas
// and braces need quotes.
func scalarText(node *yaml.Node, style yaml.Style, flow bool) string {
	if node.Tag != "!!str" {
		return node.Value
	}
	switch {
	case style == yaml.SingleQuotedStyle && !strings.ContainsFunc(node.Value, needsEscape):
		return "'" + strings.ReplaceAll(node.Value, "'", "''") + "'"
	case style == yaml.DoubleQuotedStyle, node.Value == "<<": // plain, it would merge
		return quoted(node.Value)
	case strings.ContainsFunc(node.Value, needsEscape), flow && strings.ContainsAny(node.Value, ",[]{}"):
		return quoted(node.Value)
	}
	text, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: node.Value})
	plain := strings.TrimSuffix(string(text), "\n")
	if err != nil || plain != node.Value || !isPlainString(plain) {
		return quoted(node.Value)
	}
	return plain
}

// needsEscape says whether a character can be written only with an escape.
func needsEscape(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff
}

// quoted is a string in double quotes. JSON's escapes are also YAML's.
func quoted(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return `""`
	}
	out := strings.TrimSuffix(b.String(), "\n")
	return strings.NewReplacer("\x7f", `\x7f`, "\ufeff", `\ufeff`, "\u0085", `\x85`).Replace(out)
}
