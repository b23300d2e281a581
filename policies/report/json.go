package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// document is the shape of `sluice check -o json`. Its keys are a stable interface.
type document struct {
	Results      []Result      `json:"results"`
	Patched      []Patched     `json:"patched,omitempty"`
	SkippedKinds []SkippedKind `json:"skippedKinds,omitempty"`
	Summary      Summary       `json:"summary"`
}

func writeJSON(out *bytes.Buffer, r Report) error {
	return encodeJSON(out, document{
		Results:      r.Results,
		Patched:      r.Patched,
		SkippedKinds: r.SkippedKinds,
		Summary:      r.Summary,
	})
}

// encodeJSON writes v indented and with a newline at its end. What a terminal or a CI log might act on is in JSON's own
// escapes, so that a parser reads exactly what v holds; only invalid UTF-8, which JSON can't hold, reads as U+FFFD.
func encodeJSON(out *bytes.Buffer, v any) error {
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	// Outside of strings JSON has neither # nor what isn't ASCII, so these runes are in strings.
	for _, r := range strings.ReplaceAll(raw.String(), "##", `#\u0023`) {
		if r == '\n' || strconv.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(out, `\u%04x`, unit)
		}
	}
	return nil
}

// compactJSON is v on one line.
func compactJSON(v any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("encode JSON: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
