package facts

import (
	"cmp"
	"slices"
	"strings"
)

// mergedKeys bounds the keys that merged looks at: people tell the pods of a
// namespace apart by one or two.
const mergedKeys = 4

// merged are selectors that select of s what bs do, and often far fewer: those
// that differ in the values of one key become one. A search goes through all
// of them, and carries along what each takes away.
func (s Selector) merged(bs []Selector) []Selector {
	if len(bs) < 2 {
		return bs
	}
	out := make([]Selector, len(bs))
	counts := map[string]int{}
	for i, b := range bs {
		out[i] = s.beyond(b)
		for _, c := range out[i].constraints {
			counts[c.key]++
		}
	}
	keys := make([]string, 0, len(counts))
	for key := range counts {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	for _, key := range keys[:min(len(keys), mergedKeys)] {
		out = mergeBy(key, out)
	}
	return out
}

// beyond is what b requires and s does not.
func (s Selector) beyond(b Selector) Selector {
	out := Selector{domain: b.domain, constraints: make([]constraint, 0, len(b.constraints))}
	for _, c := range b.constraints {
		if !s.admits(c.key).subset(c.admits) {
			out.constraints = append(out.constraints, c)
		}
	}
	return out
}

// mergeBy makes one of selectors that are equal but for the values of a key.
func mergeBy(key string, bs []Selector) []Selector {
	out := make([]Selector, 0, len(bs))
	at, members := map[string]int{}, map[int][]values{}
	var text strings.Builder
	for _, b := range bs {
		i, found := b.find(key)
		if !found {
			out = append(out, b)
			continue
		}
		text.Reset()
		for j, c := range b.constraints {
			if j != i {
				c.write(&text)
			}
		}
		first, known := at[text.String()]
		if !known {
			first = len(out)
			at[text.String()] = first
			out = append(out, b)
		}
		members[first] = append(members[first], b.constraints[i].admits)
	}
	for i, all := range members {
		if len(all) > 1 {
			out[i] = out[i].with(key, anyOf(all))
		}
	}
	return out
}

// write writes c so that only equal constraints are written alike.
func (c constraint) write(to *strings.Builder) {
	to.WriteString(c.key)
	to.WriteByte(0)
	for _, flag := range []bool{c.admits.absent, c.admits.others} {
		if flag {
			to.WriteByte('+')
		} else {
			to.WriteByte('-')
		}
	}
	for _, value := range c.admits.listed {
		to.WriteString(value)
		to.WriteByte(0)
	}
	to.WriteByte(1)
}

// anyOf is the union of sets.
func anyOf(sets []values) values {
	var union values
	open := values{absent: true, others: true} // what those with others leave out
	for _, v := range sets {
		if v.others {
			open = open.and(v.not())
			union.others = true
			continue
		}
		union.absent = union.absent || v.absent
		union.listed = append(union.listed, v.listed...)
	}
	union.listed = sortedSet(union.listed)
	if union.others {
		union.others = false
		return open.and(union.not()).not()
	}
	return union
}
