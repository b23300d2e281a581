package engine

import (
	"encoding/json"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// literal is a value over several lines: JSON, but for sets.
func literal(value ast.Value) string {
	var out strings.Builder
	writeLiteral(&out, value, "\n")
	return out.String()
}

// writeLiteral writes a value; newline is a line's end and the indentation of the next.
func writeLiteral(out *strings.Builder, value ast.Value, newline string) {
	list := func(left, right string, length int, each func(write func(key string, v ast.Value))) {
		if length == 0 {
			out.WriteString(left + right)
			return
		}
		out.WriteString(left)
		i := 0
		each(func(key string, v ast.Value) {
			if i++; i > 1 {
				out.WriteString(",")
			}
			out.WriteString(newline + "  " + key)
			writeLiteral(out, v, newline+"  ")
		})
		out.WriteString(newline + right)
	}
	switch v := value.(type) {
	case *ast.Array:
		list("[", "]", v.Len(), func(write func(string, ast.Value)) {
			v.Foreach(func(t *ast.Term) { write("", t.Value) })
		})
	case ast.Set:
		left, right := "{", "}"
		if v.Len() == 0 {
			left, right = "set(", ")"
		}
		list(left, right, v.Len(), func(write func(string, ast.Value)) {
			for _, t := range v.Slice() {
				write("", t.Value)
			}
		})
	case ast.Object:
		list("{", "}", v.Len(), func(write func(string, ast.Value)) {
			for _, key := range v.Keys() {
				write(scalar(key.Value)+": ", v.Get(key).Value)
			}
		})
	default:
		out.WriteString(scalar(value))
	}
}

func scalar(value ast.Value) string {
	plain, err := ast.JSON(value)
	if err != nil {
		return value.String()
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(plain); err != nil {
		return value.String()
	}
	return strings.TrimSpace(out.String())
}
