package facts

import (
	"cmp"
	"slices"
)

// cell is a set of policies, besides those that select all of np's pods, that
// select some pod of np together, while no other policy selects it.
type cell struct {
	policies []int // indexes in width.policies, ascending
	witness  map[string]string
}

func (c cell) has(policy int) bool {
	_, ok := slices.BinarySearch(c.policies, policy)
	return ok
}

// findCells divides the pods that np selects by which of the merely
// overlapping policies select them too. Cells of few policies come first. If
// there are too many cells, gaveUp is set and some are missing; the search
// leaves policies out before it takes them in, so that these are mostly cells
// of many policies.
func (w *width) findCells() {
	var partial []int
	for i, p := range w.policies {
		if i > 0 && !p.all {
			partial = append(partial, i)
		}
	}
	if len(partial) == 0 {
		return
	}
	steps := coverSteps
	w.divide(w.policies[0].pods, partial, nil, &steps)
	slices.SortStableFunc(w.cells, func(a, b cell) int {
		if d := cmp.Compare(len(a.policies), len(b.policies)); d != 0 {
			return d
		}
		return slices.Compare(a.policies, b.policies)
	})
	w.cells = slices.CompactFunc(w.cells, func(a, b cell) bool { return slices.Equal(a.policies, b.policies) })
}

func (w *width) divide(pods Selector, rest, chosen []int, steps *int) {
	if *steps--; *steps < 0 {
		w.gaveUp = true
		return
	}
	for len(rest) > 0 && !pods.Overlap(w.policies[rest[0]].pods) {
		rest = rest[1:]
		*steps--
	}
	if len(rest) == 0 {
		if len(chosen) > 0 {
			w.cells = append(w.cells, cell{policies: slices.Clone(chosen), witness: pods.Witness()})
		}
		return
	}
	next := w.policies[rest[0]].pods
	for _, piece := range pods.without(next) {
		w.divide(piece, rest[1:], chosen, steps)
	}
	w.divide(pods.And(next), rest[1:], append(slices.Clip(chosen), rest[0]), steps)
}

// likelyCells are two guesses where cells are missing. Of the partial sources'
// policies, the widest first, those are taken in that select some pod together:
// until they may exceed the limit with the sure sources, and to the end.
func (w *width) likelyCells(sure, partial []int, family string) []cell {
	var bound Reach
	for _, i := range sure {
		bound = bound.plus(w.sources[i].reach)
	}
	widest := slices.Clone(partial)
	slices.SortStableFunc(widest, func(a, b int) int {
		return w.sources[b].reach.family(family).Cmp(w.sources[a].reach.family(family))
	})
	var guesses []cell
	pods := w.policies[0].pods
	for _, i := range widest {
		theirs := w.policies[w.sources[i].policy].pods
		if !pods.Overlap(theirs) {
			continue
		}
		pods = pods.And(theirs)
		bound = bound.plus(w.sources[i].reach)
		if len(guesses) == 0 && w.over(bound, family) {
			guesses = append(guesses, w.cellOf(pods.Witness()))
		}
	}
	return append(guesses, w.cellOf(pods.Witness()))
}

// cellOf is the cell of a pod that np selects.
func (w *width) cellOf(labels map[string]string) cell {
	c := cell{witness: labels}
	for i, p := range w.policies {
		if i > 0 && !p.all && p.pods.Matches(labels) {
			c.policies = append(c.policies, i)
		}
	}
	return c
}
