// Package manifest turns YAML and JSON streams into Kubernetes objects and
// back, and knows the line and column of every field on the way.
//
// Read splits a file into objects, and ReadDumps those of a whole cluster; Decode brings an object into the form in
// which the API server stores it and hands it to webhooks; Apply writes RFC 6902
// patches into the text a person wrote, leaving everything else alone.
package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits on input that nobody writes by hand.
const (
	// MaxFileSize is the largest file that is read, in bytes.
	MaxFileSize = 64 << 20
	// MaxDumpSize is the largest file that ReadDumps reads, in bytes.
	MaxDumpSize = 1 << 30
	// MaxDepth is the deepest nesting of mappings and lists that is read.
	MaxDepth = 100
)

// StdinName is the file name of objects that come from standard input.
const StdinName = "<stdin>"

// Problem is something wrong with the text of a manifest: it says what, where,
// what was expected and, where that isn't obvious, what to do.
type Problem struct {
	File string
	// Line and Column count from 1; both are 0 if the whole file is meant.
	// Columns count characters, not bytes.
	Line, Column int
	// Field is a Kubernetes field path relative to the object; empty if the
	// problem isn't about a field.
	Field   string
	Message string
}

// String is the problem as a person reads it: file:line:column: field: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	if p.File != "" {
		b.WriteString(": ")
	}
	named := strings.HasPrefix(p.Message, p.Field) || strings.Contains(p.Message, strconv.Quote(p.Field))
	if p.Field != "" && !named {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error makes a Problem usable as an error.
func (p Problem) Error() string { return p.String() }

// sortProblems orders problems by position, keeping the order of equals.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
