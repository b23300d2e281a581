package facts

import (
	"slices"
	"strconv"
)

// values is a set of states of one label: absent, or one of its values. With
// others set, it holds every value but the listed ones, without it only the
// listed ones. The listed values are sorted and unique. The zero value is the
// empty set. There are always other values than those listed: a selector can't
// name all that a label may have.
type values struct {
	absent bool
	others bool
	listed []string
}

func (v values) isEmpty() bool { return !v.absent && !v.others && len(v.listed) == 0 }

func (v values) isAll() bool { return v.absent && v.others && len(v.listed) == 0 }

func (v values) has(value string, present bool) bool {
	if !present {
		return v.absent
	}
	_, listed := slices.BinarySearch(v.listed, value)
	return listed != v.others
}

func (v values) and(w values) values {
	r := values{absent: v.absent && w.absent, others: v.others && w.others}
	switch {
	case v.others && w.others:
		r.listed = union(v.listed, w.listed)
	case v.others:
		r.listed = w.where(v)
	default:
		r.listed = v.where(w)
	}
	return r
}

// union merges two sorted sets, in time that grows with the smaller one but for
// copying. It may return one of them.
func union(a, b []string) []string {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(b) == 0 {
		return a
	}
	out := make([]string, 0, len(a)+len(b))
	for _, s := range b {
		i, found := slices.BinarySearch(a, s)
		out, a = append(out, a[:i]...), a[i:]
		if !found {
			out = append(out, s)
		}
	}
	return append(out, a...)
}

// where are the listed values of v that w has.
func (v values) where(w values) []string {
	var list []string
	for _, s := range v.listed {
		if w.has(s, true) {
			list = append(list, s)
		}
	}
	return list
}

// overlaps reports whether v and w have something in common.
func (v values) overlaps(w values) bool {
	if v.absent && w.absent || v.others && w.others {
		return true
	}
	if v.others {
		v, w = w, v
	}
	if !w.others && len(v.listed) == 1 && len(w.listed) == 1 { // as in most selectors
		return v.listed[0] == w.listed[0]
	}
	for _, s := range v.listed {
		if w.has(s, true) {
			return true
		}
	}
	return false
}

func (v values) not() values {
	return values{absent: !v.absent, others: !v.others, listed: v.listed}
}

func (v values) subset(w values) bool { return !v.overlaps(w.not()) }

// example is some value of v, which must have one.
func (v values) example() string {
	if !v.others {
		if len(v.listed) == 0 {
			return ""
		}
		return v.listed[0]
	}
	name := "other"
	for i := 2; slices.Contains(v.listed, name); i++ {
		name = "other-" + strconv.Itoa(i)
	}
	return name
}

// onlyNames drops listed values that no namespace can be named.
func (v values) onlyNames() values {
	for i, s := range v.listed {
		if !isNamespaceName(s) {
			kept := slices.Clone(v.listed[:i])
			for _, s := range v.listed[i+1:] {
				if isNamespaceName(s) {
					kept = append(kept, s)
				}
			}
			v.listed = kept
			return v
		}
	}
	return v
}

// isLabelValue is apimachinery's IsValidLabelValue without its regular
// expression: at most 63 letters, digits, '-', '_' and '.', beginning and
// ending with a letter or digit, or nothing at all.
func isLabelValue(s string) bool {
	if len(s) > 63 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_' || c == '.') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}

// isNamespaceName reports whether s is a DNS label (RFC 1123).
func isNamespaceName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return true
}
