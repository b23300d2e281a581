// Package diff compares two sets of manifests by the traffic that their NetworkPolicies allow: what the new set opens,
// and what it closes.
package diff

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

// Options say what is compared.
type Options struct {
	// Old and New are a file or a folder each, or "-" for Stdin, as in manifest.Paths.
	Old, New string
	Stdin    io.Reader
	// Namespace is for objects that name none; empty is default.
	Namespace string
	// Progress, if given, is called after each namespace.
	Progress func(done, total int)
}

// Run compares. What can't be read is among the errors, and then nothing is compared: a policy that is missing on one
// side would look as if it had been deleted. The error is for a context that ended.
func Run(ctx context.Context, o Options) (report.Diff, error) {
	before, after := readSides(o)
	c := comparison{before: before, after: after}
	c.errors = append(before.problems, after.problems...)
	c.found.Summary.Before, c.found.Summary.After = len(before.places), len(after.places)
	c.found.SkippedKinds = skippedKinds(before.skipped, after.skipped)
	for _, kind := range c.found.SkippedKinds {
		c.found.Summary.Skipped += kind.Count
	}
	if len(c.errors) == 0 {
		if err := c.namespaces(ctx, o.Progress); err != nil {
			return report.Diff{}, err
		}
	}
	for _, p := range c.errors {
		c.found.Errors = append(c.found.Errors, report.Result{
			File: p.File, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Action: report.ActionError,
		})
	}
	if len(c.errors) > 0 {
		c.found.Opens, c.found.Closes = nil, nil
	}
	c.found.Summary.Opened, c.found.Summary.Closed, c.found.Summary.Errors = len(c.found.Opens), len(c.found.Closes), len(c.errors)
	return c.found, nil
}

// comparison is one run.
type comparison struct {
	before, after *side
	found         report.Diff
	errors        []manifest.Problem
}

func (c *comparison) namespaces(ctx context.Context, progress func(done, total int)) error {
	names := map[string]bool{}
	for _, s := range []*side{c.before, c.after} {
		for name := range s.policies {
			names[name] = true
		}
	}
	for i, name := range slices.Sorted(maps.Keys(names)) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("compare namespace %s: %w", name, err)
		}
		c.compare(name)
		if progress != nil {
			progress(i+1, len(names))
		}
	}
	return nil
}

// compare finds what the policies of one namespace open and close, as they change, and as the labels of namespaces
// change that they select.
func (c *comparison) compare(namespace string) {
	before, after := c.before.list(namespace), c.after.list(namespace)
	told := map[place]bool{}
	c.openings(before, after, namespace, "", told)
	for _, relabelled := range relabellings(c.before, c.after) {
		was, is, differ := relabelled.seen(before, after)
		if differ {
			c.openings(was, is, namespace, relabelled.name, told)
		}
	}
}

// place is where an opening or closing is told.
type place struct {
	closing           bool
	policy, direction string
	field             string
}

// openings adds what is opened and closed. Because of a relabelled namespace, only what was not told already is.
func (c *comparison) openings(before, after []*facts.Policy, namespace, relabelled string, told map[place]bool) {
	for _, closing := range []bool{false, true} {
		list, old, updated := &c.found.Opens, before, after
		if closing {
			list, old, updated = &c.found.Closes, after, before
		}
		opened, err := facts.Opened(old, updated, facts.OpenOptions{Closing: closing})
		if err != nil {
			c.errors = append(c.errors, manifest.Problem{File: "namespace " + namespace, Message: err.Error()})
			return
		}
		for _, o := range opened.List {
			at := place{closing, o.Policy, o.Direction, o.Field}
			if relabelled != "" && (o.Unisolated || told[at]) {
				continue
			}
			told[at] = true
			change := report.Change{Opening: o, Relabelled: relabelled}
			change.File, change.Line, change.Column = c.position(o, closing)
			*list = append(*list, change)
		}
	}
}

// position is where the policy stands that opens something, or that closes it: on the side where it is so.
func (c *comparison) position(o facts.Opening, closing bool) (file string, line, column int) {
	sides := []*side{c.after, c.before}
	if closing {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		if p, is := s.places[identity{o.Namespace, o.Policy}]; is {
			line, column = p.object.Position(o.Field)
			return p.file, line, column
		}
	}
	return "", 0, 0
}

func skippedKinds(sides ...map[string]int) []report.SkippedKind {
	sum := map[string]int{}
	for _, s := range sides {
		for what, n := range s {
			sum[what] += n
		}
	}
	kinds := make([]report.SkippedKind, 0, len(sum))
	for what, n := range sum {
		kinds = append(kinds, report.SkippedKind{What: what, Count: n})
	}
	slices.SortFunc(kinds, func(a, b report.SkippedKind) int { return cmp.Compare(a.What, b.What) })
	return kinds
}
