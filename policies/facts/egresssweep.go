package facts

import (
	"cmp"
	"encoding/binary"
	"slices"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
)

// hit is an excess for one family, on ports where the same rules apply.
type hit struct {
	family    string
	field     string
	order     [2]int // rule and peer of the field
	reach     Count
	with      []string
	overlap   bool
	uncertain bool
	witness   map[string]string
}

// portHits are the hits on an interval of ports.
type portHits struct {
	ports PortRange
	hits  []hit
}

// edge is where a source begins or ends to apply, going up the ports.
type edge struct {
	port   int32
	source int
	delta  int
}

// sweep judges the intervals of ports between which the applying rules change.
func (w *width) sweep() error {
	active := make([]int, len(w.sources)) // how many port entries apply
	for _, protocol := range protocols {
		edges := w.edges(protocol)
		for i := 0; i < len(edges); {
			from := edges[i].port
			for ; i < len(edges) && edges[i].port == from; i++ {
				active[edges[i].source] += edges[i].delta
			}
			if i == len(edges) {
				break // nothing applies beyond the last edge
			}
			hits, err := w.judge(active)
			if err != nil {
				return err
			}
			if len(hits) > 0 {
				w.hits = append(w.hits, portHits{PortRange{protocol, from, edges[i].port - 1}, hits})
			}
		}
	}
	return nil
}

func (w *width) edges(protocol corev1.Protocol) []edge {
	return edgesOf(protocol, len(w.sources), func(i int) []PortRange { return w.sources[i].ports })
}

// edgesOf are the edges of n sources with these ports, going up.
func edgesOf(protocol corev1.Protocol, n int, ports func(source int) []PortRange) []edge {
	var edges []edge
	for i := range n {
		for _, p := range ports(i) {
			if p.Protocol == protocol {
				edges = append(edges, edge{p.From, i, 1}, edge{p.To + 1, i, -1})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Compare(a.port, b.port) })
	return edges
}

// judge returns the hits of the sources that are active. Sources of np come
// first, then those of policies that select all of its pods, then the others.
func (w *width) judge(active []int) ([]hit, error) {
	var own, all, partial []int
	var key []byte
	var bound Reach
	for i, n := range active {
		if n == 0 {
			continue
		}
		key = binary.AppendUvarint(key, uint64(i))
		bound = bound.plus(w.sources[i].reach)
		switch p := w.sources[i].policy; {
		case p == 0:
			own = append(own, i)
		case w.policies[p].all:
			all = append(all, i)
		default:
			partial = append(partial, i)
		}
	}
	if w.work -= len(active) / 16; w.work < 0 {
		return nil, ErrTooLarge
	}
	over4, over6 := w.limits.Exceeds(bound)
	if len(own) == 0 || !over4 && !over6 {
		return nil, nil
	}
	if hits, ok := w.memo[string(key)]; ok {
		return hits, nil
	}
	hits, err := w.excess(own, all, partial)
	if err != nil {
		return nil, err
	}
	w.memo[string(key)] = hits
	return hits, nil
}

// excess judges sources that apply to the same ports.
func (w *width) excess(own, all, partial []int) ([]hit, error) {
	if w.work < 0 {
		return nil, ErrTooLarge
	}
	alone := publicReach(w.union(own))
	base := w.union(all)
	without, with := publicReach(base), alone
	if len(all) > 0 {
		with = publicReach(w.union(slices.Concat(own, all)))
	}
	var hits []hit
	for _, family := range []string{IPv4, IPv6} {
		h, before := hit{family: family}, base
		switch {
		case w.over(alone, family):
			h.reach, before = alone.family(family), nil
		case w.over(without, family):
			continue
		case w.over(with, family):
			h.reach, h.with = with.family(family), w.names(all, family)
		default:
			var err error
			if h, before, err = w.partialExcess(own, all, partial, family); err != nil {
				return nil, err
			}
			if h.family == "" {
				continue
			}
		}
		var err error
		if h.field, h.order, err = w.widest(own, before, family); err != nil {
			return nil, err
		}
		hits = append(hits, h)
	}
	return hits, nil
}

// partialExcess looks for pods that only some of the partial sources apply to.
// It returns no family if there are none, and what the pods reach without np.
func (w *width) partialExcess(own, all, partial []int, family string) (hit, []netipx.IPRange, error) {
	if len(partial) == 0 {
		return hit{}, nil, nil
	}
	most := publicReach(w.union(slices.Concat(own, all, partial)))
	if !w.over(most, family) {
		return hit{}, nil, nil
	}
	for _, c := range w.cells {
		if h, base, err := w.cellExcess(c, own, all, partial, family); err != nil || h.family != "" {
			return h, base, err
		}
	}
	if !w.gaveUp {
		return hit{}, nil, nil
	}
	for _, c := range w.likelyCells(slices.Concat(own, all), partial, family) {
		if h, base, err := w.cellExcess(c, own, all, partial, family); err != nil || h.family != "" {
			return h, base, err
		}
	}
	theirs := slices.Concat(all, partial)
	return hit{family: family, reach: most.family(family), with: w.names(theirs, family), overlap: true, uncertain: true}, nil, nil
}

// cellExcess is the hit for the pods of a cell, and what they reach without np;
// no family if there is none.
func (w *width) cellExcess(c cell, own, all, partial []int, family string) (hit, []netipx.IPRange, error) {
	theirs := slices.Clone(all)
	for _, i := range partial {
		if c.has(w.sources[i].policy) {
			theirs = append(theirs, i)
		}
	}
	if len(theirs) == len(all) {
		return hit{}, nil, nil
	}
	if w.work < 0 {
		return hit{}, nil, ErrTooLarge
	}
	reach := publicReach(w.union(slices.Concat(own, theirs)))
	base := w.union(theirs)
	if !w.over(reach, family) || w.over(publicReach(base), family) {
		return hit{}, nil, nil
	}
	return hit{family: family, reach: reach.family(family), with: w.names(theirs, family), overlap: true, witness: c.witness}, base, nil
}

func (w *width) over(r Reach, family string) bool {
	over4, over6 := w.limits.Exceeds(r)
	return family == IPv4 && over4 || family == IPv6 && over6
}

// names are the policies of sources that reach something of the family.
func (w *width) names(sources []int, family string) []string {
	var names []string
	for _, i := range sources {
		if !w.sources[i].reach.family(family).isZero() {
			names = append(names, w.policies[w.sources[i].policy].name)
		}
	}
	return sortedSet(names)
}
