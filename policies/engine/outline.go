package engine

import (
	"regexp"
	"slices"
)

var packageLine = regexp.MustCompile(`(?m)^[ \t]*package[ \t].*$`)

// Outline is what a module that Inline refuses says of itself: as much of its METADATA as can be read, be it that the
// head of the module alone has no syntax error, and the verbs that it states; deny where they can't be told.
// The rule can't be compiled; every change of an object counts as one that it judges, unless its METADATA says what it judges.
func Outline(name, source string) *Rule {
	rule := &Rule{File: name, Verbs: []Verb{Deny}}
	module, err := parse(name, source)
	if err == nil {
		if stated, errs := statedVerbs(module); len(stated) > 0 && len(errs) == 0 {
			rule.Verbs = stated
		}
	} else if head := packageLine.FindStringIndex(source); head != nil {
		module, _ = parse(name, source[:head[1]])
	}
	if module != nil && packageAnnotations(module) != nil {
		rule.Metadata, _ = metadata(module)
	}
	if !slices.Contains(Severities(), rule.Severity) {
		rule.Severity = ""
	}
	rule.Operations = slices.DeleteFunc(rule.Operations, func(op Operation) bool { return !slices.Contains(operations(), op) })
	for _, path := range rule.Judges {
		judged, err := rule.parseJudged(path)
		if err != nil {
			rule.judged = nil
			break
		}
		rule.judged = append(rule.judged, judged)
	}
	return rule
}

// sameToPeople tells whether two objects differ in nothing that a person writes: of metadata only labels and
// annotations count, so that finalizers come off and controllers keep their books.
func sameToPeople(object, old Document) bool {
	same := func(key string) bool {
		a, b := object.Get("metadata", key), old.Get("metadata", key)
		return a.Equal(b) || a.Len() == 0 && b.Len() == 0
	}
	return same("labels") && same("annotations") &&
		object.With("metadata", Document{}).Equal(old.With("metadata", Document{}))
}
