package webhook

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/sluice-gate/sluice/policies"
)

// Bounds on what one review adds to the audit log.
const (
	maxAnnotation  = 2048 // bytes of a value
	maxAnnotations = 32
)

// moreKey is where the policies that found no room are counted. No key of a policy looks like it.
const moreKey = "and_more"

// auditAnnotations are one entry for each policy, in the order of the findings, which are sorted by
// policy. The API server puts the webhook's name and a slash in front of each key.
func auditAnnotations(findings []policies.Finding) []annotation {
	var out []annotation
	more := 0
	for start := 0; start < len(findings); {
		end := start + 1
		for end < len(findings) && findings[end].Policy == findings[start].Policy {
			end++
		}
		if len(out) < maxAnnotations {
			out = append(out, annotation{annotationKey(findings[start].Policy), annotationValue(findings[start:end])})
		} else {
			more++
		}
		start = end
	}
	if more > 0 {
		out = append(out, annotation{moreKey, fmt.Sprintf("%d more policies", more)})
	}
	return out
}

func annotationValue(findings []policies.Finding) string {
	var entries []string
	for _, f := range findings {
		entry := f.Message
		if f.Field != "" {
			entry = f.Field + ": " + entry
		}
		if f.Excused != "" {
			entry = "excused by " + f.Excused + ": " + entry
		}
		entries = append(entries, oneLine(entry))
	}
	return shorten(strings.Join(entries, "; "), maxAnnotation)
}

// annotationKey makes a policy's name the name part of a qualified name: up to 63 letters, digits, '-'
// and '.', with a letter or digit at either end. Names that had to be changed keep apart by a hash.
func annotationKey(policy string) string {
	const longest = 63
	key := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, policy)
	key = strings.Trim(key, "-.")
	if key == policy && len(key) <= longest && key != "" {
		return key
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(policy)) // never fails
	suffix := "-" + strconv.FormatUint(uint64(hash.Sum32()), 16)
	return "p." + strings.TrimRight(key[:min(len(key), longest-len(suffix)-2)], "-.") + suffix
}
