package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// showJSON names a JSON value in a message: its kind, and the value if short.
func showJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "an unreadable value"
	}
	kind := ""
	switch value.(type) {
	case nil:
		return "null"
	case string:
		kind = "the string"
	case bool:
		kind = "the boolean"
	case json.Number, float64, int64:
		kind = "the number"
	case []any:
		return "a list"
	case map[string]any:
		return "a mapping"
	}
	const longest = 60
	if runes := []rune(string(text)); len(runes) > longest {
		text = []byte(string(runes[:longest]) + "…")
	}
	return fmt.Sprintf("%s %s", kind, text)
}

func showRaw(raw json.RawMessage) string {
	value, err := decodeAny(raw)
	if err != nil {
		return "unreadable JSON"
	}
	return showJSON(value)
}

// decodeAny decodes JSON without losing digits.
func decodeAny(raw []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return value, nil
}
