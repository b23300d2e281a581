// Package spelling guesses which name was meant by one that nothing has.
package spelling

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest is the candidate that a misspelt name probably means: one that it begins or ends with, or that begins or ends with it, at a
// word, or else the nearest one. A third of the letters may be wrong, of short names two. Of candidates as near the first counts. It
// is "" if none is like it.
func Nearest(misspelt string, candidates []string) string {
	misspelt = strings.ToLower(misspelt)
	best, least := "", max(2, len(misspelt)/3)+1
	for _, candidate := range candidates {
		lower := strings.ToLower(candidate)
		distance := levenshtein.ComputeDistance(misspelt, lower)
		if isPart(misspelt, lower) || isPart(lower, misspelt) {
			distance = min(distance, 1)
		}
		if distance < least && distance < min(len(lower), len(misspelt)) {
			best, least = candidate, distance
		}
	}
	return best
}

// Suggest is the end of a message about a misspelt name: which candidate it probably means; "" if none is like it.
func Suggest(misspelt string, candidates []string) string {
	best := Nearest(misspelt, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// isPart tells whether a name begins or ends with some words.
func isPart(words, name string) bool {
	const between = "-_./"
	before, isEnd := strings.CutSuffix(name, words)
	after, isBeginning := strings.CutPrefix(name, words)
	return words != "" && (isEnd && before != "" && strings.ContainsAny(before[len(before)-1:], between) ||
		isBeginning && after != "" && strings.ContainsAny(after[:1], between))
}
