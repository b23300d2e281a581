package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/maruel/natural"
)

// ordered is a copy of r in the order that every format prints, with only the four known actions in it.
func ordered(r Report) Report {
	r.Results = orderedResults(r.Results)
	r.Patched = slices.Clone(r.Patched)
	slices.SortStableFunc(r.Patched, comparePatched)
	r.Objects = slices.Clone(r.Objects)
	slices.SortStableFunc(r.Objects, compareObjects)
	r.SkippedKinds = slices.Clone(r.SkippedKinds)
	slices.SortStableFunc(r.SkippedKinds, func(a, b SkippedKind) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Count, b.Count))
	})
	r.Rules = slices.Clone(r.Rules)
	slices.SortStableFunc(r.Rules, compareRules)
	return r
}

// orderedResults is never nil, so that JSON has [] for no results.
func orderedResults(results []Result) []Result {
	sorted := append([]Result{}, results...)
	for i := range sorted {
		switch sorted[i].Action {
		case ActionWarn, ActionAudit, ActionError:
		default:
			sorted[i].Action = ActionDeny
		}
	}
	slices.SortStableFunc(sorted, compareResults)
	return sorted
}

func compareResults(a, b Result) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Policy, b.Policy),
		natural.Compare(a.Field, b.Field),
		cmp.Compare(a.Message, b.Message),
		cmp.Compare(a.Action, b.Action),
		cmp.Compare(a.Fix, b.Fix),
		cmp.Compare(a.APIVersion, b.APIVersion),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Severity, b.Severity),
	)
}

func comparePatched(a, b Patched) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Column, b.Column),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Op, b.Op),
		cmp.Compare(fmt.Sprint(a.Value), fmt.Sprint(b.Value)),
	)
}

func compareObjects(a, b ObjectRef) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.APIVersion, b.APIVersion),
	)
}

func compareRules(a, b Rule) int {
	return cmp.Or(
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Title, b.Title),
		cmp.Compare(a.Description, b.Description),
		cmp.Compare(a.Severity, b.Severity),
		cmp.Compare(a.HelpURI, b.HelpURI),
	)
}
