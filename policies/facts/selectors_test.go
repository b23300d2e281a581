package facts

import (
	"fmt"
	"math/rand/v2"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var (
	testKeys   = []string{"a", "b", "c"}
	testValues = []string{"", "x", "y", "z", "another"} // "" is no label
)

func in(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: values}
}

func notIn(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: values}
}

func exists(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpExists}
}

func missing(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}
}

func expressions(r ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: r}
}

func TestSelectorExtremes(t *testing.T) {
	const name = namespaceNameLabel
	for _, c := range []struct {
		sel                 *metav1.LabelSelector
		domain              Domain
		everything, nothing bool
	}{
		{nil, Pods, false, true},
		{&metav1.LabelSelector{}, Pods, true, false},
		{&metav1.LabelSelector{}, Namespaces, true, false},
		{expressions(exists("a")), Pods, false, false},
		{expressions(exists("a"), missing("a")), Pods, false, true},
		{expressions(in("a", "x"), notIn("a", "x")), Pods, false, true},
		{expressions(in("a", "x", "y"), notIn("a", "x")), Pods, false, false},
		{expressions(in("a", "x"), in("a", "y")), Pods, false, true},
		{expressions(notIn("a", "x"), missing("a")), Pods, false, false},
		{expressions(exists(name)), Pods, false, false},
		{expressions(exists(name)), Namespaces, true, false},
		{expressions(missing(name)), Namespaces, false, true},
		{expressions(missing(name)), Pods, false, false},
		{expressions(notIn(name, "Not_A_Name")), Namespaces, true, false},
		{expressions(notIn(name, "Not_A_Name")), Pods, false, false},
		{expressions(notIn(name, "")), Namespaces, true, false},
		{expressions(notIn(name, "kube-system")), Namespaces, false, false},
		{expressions(in(name, "Not_A_Name")), Namespaces, false, true},
		{expressions(exists(name), exists("team")), Namespaces, false, false},
		{&metav1.LabelSelector{MatchLabels: map[string]string{"a": ""}}, Pods, false, false},
	} {
		s := compile(t, c.sel, c.domain)
		if got := s.MatchesEverything(); got != c.everything {
			t.Errorf("%v: MatchesEverything is %v", c.sel, got)
		}
		if got := s.MatchesNothing(); got != c.nothing {
			t.Errorf("%v: MatchesNothing is %v", c.sel, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, sel := range []*metav1.LabelSelector{
		expressions(in("a")),
		expressions(notIn("a")),
		expressions(metav1.LabelSelectorRequirement{Key: "a", Operator: metav1.LabelSelectorOpExists, Values: []string{"x"}}),
		expressions(metav1.LabelSelectorRequirement{Key: "a", Operator: metav1.LabelSelectorOpDoesNotExist, Values: []string{"x"}}),
		expressions(metav1.LabelSelectorRequirement{Key: "a", Operator: "Gt", Values: []string{"1"}}),
		expressions(metav1.LabelSelectorRequirement{Key: "a"}),
		expressions(in("a", "not a value")),
		expressions(notIn("a", "-x")),
		{MatchLabels: map[string]string{"a": "x."}},
	} {
		_, ours := Compile(sel, Pods)
		_, theirs := metav1.LabelSelectorAsSelector(sel)
		if ours == nil || theirs == nil {
			t.Errorf("%v: error %v, apimachinery's %v", sel, ours, theirs)
		}
	}
}

// labelsSelected are those of all that s selects, by apimachinery.
func labelsSelected(t *testing.T, sel *metav1.LabelSelector, all []map[string]string) []bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(sel)
	if err != nil {
		t.Fatal(err)
	}
	selected := make([]bool, len(all))
	for i, l := range all {
		selected[i] = s.Matches(labels.Set(l))
	}
	return selected
}

func TestSelectorsAgainstEnumeration(t *testing.T) {
	all := allLabels(testKeys, testValues)
	forSeeds(t, 3000, func(t *testing.T, r *rand.Rand) {
		selA, selB := randomSelector(r, testKeys...), randomSelector(r, testKeys...)
		a, b := compile(t, selA, Pods), compile(t, selB, Pods)
		inA, inB := labelsSelected(t, selA, all), labelsSelected(t, selB, all)
		subset, overlap, none, every := true, false, true, true
		for i := range all {
			subset = subset && (!inA[i] || inB[i])
			overlap = overlap || inA[i] && inB[i]
			none, every = none && !inA[i], every && inA[i]
			if a.Matches(all[i]) != inA[i] {
				t.Errorf("%v matches %v: %v", selA, all[i], !inA[i])
			}
		}
		got := []bool{a.Subset(b), a.Overlap(b), a.MatchesNothing(), a.MatchesEverything()}
		if want := []bool{subset, overlap, none, every}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v and %v: subset, overlap, nothing, everything are %v, want %v", selA, selB, got, want)
		}
		pieces := a.without(b)
		for i := range all {
			n := 0
			for _, p := range pieces {
				if p.Matches(all[i]) {
					n++
				}
			}
			if want := number(inA[i] && !inB[i]); n != want {
				t.Errorf("%v without %v: %d pieces select %v, want %d", selA, selB, n, all[i], want)
			}
		}
		if both := a.And(b); overlap && (!a.Matches(both.Witness()) || !b.Matches(both.Witness())) {
			t.Errorf("%v and %v: %v is no witness", selA, selB, both.Witness())
		}
	})
}

func TestCoverAgainstEnumeration(t *testing.T) {
	all := allLabels(testKeys, testValues)
	covered := 0
	forSeeds(t, 3000, func(t *testing.T, r *rand.Rand) {
		selA := randomSelector(r, testKeys...)
		inA := labelsSelected(t, selA, all)
		var bs []Selector
		left := inA
		for range r.IntN(6) {
			sel := randomSelector(r, testKeys...)
			bs = append(bs, compile(t, sel, Pods))
			for i, in := range labelsSelected(t, sel, all) {
				left[i] = left[i] && !in
			}
		}
		want := Yes
		for _, l := range left {
			if l {
				want = No
			}
		}
		a := compile(t, selA, Pods)
		got, witness := a.CoveredBy(bs)
		if got != want {
			t.Errorf("%v by %v: %v, want %v", selA, bs, got, want)
		}
		if got == Yes {
			covered++
			return
		}
		if !a.Matches(witness) {
			t.Errorf("%v does not select %v", selA, witness)
		}
		for _, b := range bs {
			if b.Matches(witness) {
				t.Errorf("%v selects %v", b, witness)
			}
		}
	})
	if covered < 300 {
		t.Errorf("only %d cases were covered: the generator says little", covered)
	}
}

// TestCoverGivesUp checks that a search without end is cut off, and says so.
func TestCoverGivesUp(t *testing.T) {
	// Each clause excludes one corner of a random formula over 40 keys.
	r := rand.New(rand.NewPCG(1, 2))
	var bs []Selector
	for range 400 {
		var reqs []metav1.LabelSelectorRequirement
		for range 3 {
			key := fmt.Sprintf("k%d", r.IntN(40))
			reqs = append(reqs, pick(r, exists(key), missing(key)))
		}
		bs = append(bs, compile(t, expressions(reqs...), Pods))
	}
	if got, _ := (Selector{}).CoveredBy(bs); got != Unknown {
		t.Errorf("got %v", got)
	}
	if Verdict(0) != Unknown || Unknown.String() != "unknown" || Yes.String() != "yes" || No.String() != "no" {
		t.Error("the zero verdict has to be unknown")
	}
}

func TestLabelValues(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a": true, "A_b.c-9": true, "-a": false, "a_": false, "a b": false, "ä": false,
		string(make([]byte, 64)): false} {
		if got := isLabelValue(s); got != want {
			t.Errorf("isLabelValue(%q) = %v", s, got)
		}
	}
}
