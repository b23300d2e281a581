package manifest

import (
	"strings"
	"testing"
)

// What counts as a word without being parsed is a string to the parser.
func TestWordsAreStrings(t *testing.T) {
	const letters = "ynofalstruexi01.-_"
	var try func(prefix string, more int)
	words := 0
	try = func(prefix string, more int) {
		for _, text := range []string{prefix, strings.ToUpper(prefix), strings.ToUpper(prefix[:1]) + prefix[1:]} {
			if isWord(text) {
				words++
				if !isPlainString(text) {
					t.Errorf("%q is no string", text)
				}
			}
		}
		for i := range letters {
			if more > 0 {
				try(prefix+letters[i:i+1], more-1)
			}
		}
	}
	for i := range letters {
		try(letters[i:i+1], 2)
	}
	for _, text := range []string{"null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "name", "from", "infinity", "nullify", "e5", "E5"} {
		try(text, 0)
	}
	if words < 1000 {
		t.Errorf("%d words", words)
	}
}
