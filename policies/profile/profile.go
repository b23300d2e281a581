// Package profile gathers the policies that a command works with: those of a shipped profile, and those that
// files and folders hold. Whatever is wrong with them is said with file, line and column.
package profile

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/config/profiles"
	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/rego"
)

// None is the name of the profile without policies.
const None = "none"

// Names are the shipped profiles and None, sorted.
func Names() []string {
	names := []string{None}
	entries, err := fs.ReadDir(profiles.Files, ".")
	if err != nil {
		return names
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// Options say which policies there are.
type Options struct {
	// Name is one of Names; empty is None.
	Name string
	// Paths are files and folders with GatePolicies and GateExceptions (.yaml, .yml, .json) and rules (.rego).
	// A GatePolicy of a profile's name replaces the profile's. A rule that none of their GatePolicies
	// names is switched on as a policy of its own, named by its id, that denies.
	Paths []string
}

// Set is a library of rules, and policies and exceptions that are well-formed. Only Gate tells whether they
// fit the rules.
type Set struct {
	Library    *engine.Library
	Policies   []v1alpha1.GatePolicy    // sorted by name
	Exceptions []v1alpha1.GateException // sorted by name

	places   map[subject]place
	files    RegoFiles
	defaults map[string]map[string]any // policies.Options.Defaults
}

// Source is the file of a rule: as the user would name it, or below this project's root.
func (s *Set) Source(rule *engine.Rule) string {
	if s.files.Has(rule.File) {
		return s.files.Display(rule.File)
	}
	return "rego/" + rule.File
}

// Display is a file that engine names as the user would name it, or below this project's root. That of a module
// in a policy stays as it is.
func (s *Set) Display(file string) string {
	if _, err := fs.Stat(rego.Rules, file); err == nil && !s.files.Has(file) {
		return "rego/" + file
	}
	return s.files.Display(file)
}

// RegoFiles are the .rego files beside the shipped ones.
func (s *Set) RegoFiles() RegoFiles { return s.files }

// Problems are all that is wrong with policies, in the order of their places.
type Problems []manifest.Problem

// Error has one line, or a few, for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads policies. Its error is Problems unless it isn't about a file.
func Load(o Options) (*Set, error) {
	shipped, err := readProfile(o.Name)
	if err != nil {
		return nil, err
	}
	given := newReading()
	for _, path := range o.Paths {
		given.path(path)
	}
	library, err := load(given.rules)
	if err != nil {
		given.problems = append(given.problems, faultProblems(err, given.rules)...)
	}
	if given.sortProblems(); len(given.problems) > 0 {
		return nil, given.problems
	}
	return join(shipped, given, library), nil
}

// ShippedRules are the rules that Sluice ships, which are read once.
var ShippedRules = sync.OnceValues(func() (*engine.Library, error) { return engine.Load(rego.Rules) })

func load(given RegoFiles) (*engine.Library, error) {
	if len(given) == 0 {
		return ShippedRules()
	}
	return engine.Load(rego.Rules, given)
}

// readProfile reads a shipped profile.
func readProfile(name string) (*reading, error) {
	r := newReading()
	if name == "" || name == None {
		return r, nil
	}
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("there is no profile %q; the profiles are %s", name, strings.Join(Names(), ", "))
	}
	data, err := profiles.Files.ReadFile(name + "/policies.yaml")
	if err != nil {
		return nil, fmt.Errorf("read profile %s: %w", name, err)
	}
	r.manifest(manifest.Source{Name: "profile/" + name + ".yaml", Data: data})
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r, nil
}

// join lets given policies replace shipped ones, and switches loose rules on.
func join(shipped, given *reading, library *engine.Library) *Set {
	set := &Set{Library: library, Policies: given.policies, Exceptions: append(shipped.exceptions, given.exceptions...), places: given.places, files: given.rules}
	named := map[string]bool{}
	for _, p := range given.policies {
		named[p.Spec.Rule] = true
	}
	for _, p := range shipped.policies {
		key := subject{policyKind, p.Name}
		if _, replaced := given.places[key]; !replaced {
			set.Policies = append(set.Policies, p)
			set.places[key] = shipped.places[key]
		}
	}
	for _, rule := range library.Rules() {
		if named[rule.ID] || !given.rules.Has(rule.File) {
			continue
		}
		set.Policies = append(set.Policies, v1alpha1.GatePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: rule.ID},
			Spec:       v1alpha1.GatePolicySpec{Rule: rule.ID, Action: v1alpha1.ActionDeny},
		})
		set.places[subject{policyKind, rule.ID}] = place{file: given.rules.Display(rule.File)}
	}
	set.sortByName()
	return set
}

// With is the set with further policies, which replace those of the same name.
func (s *Set) With(further []v1alpha1.GatePolicy) *Set {
	out := *s
	out.Policies, out.places = slices.Clone(further), maps.Clone(s.places)
	for _, p := range further {
		delete(out.places, subject{policyKind, p.Name})
	}
	for _, p := range s.Policies {
		if !slices.ContainsFunc(further, func(other v1alpha1.GatePolicy) bool { return other.Name == p.Name }) {
			out.Policies = append(out.Policies, p)
		}
	}
	out.sortByName()
	return &out
}

func (s *Set) sortByName() {
	slices.SortFunc(s.Policies, func(a, b v1alpha1.GatePolicy) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Exceptions, func(a, b v1alpha1.GateException) int { return cmp.Compare(a.Name, b.Name) })
}

// TellDataplane tells the policies that want to know it, and that don't say it themselves, what enforces NetworkPolicies.
// An empty name tells nothing. The error is for a name that there isn't, and for a set without such a policy.
func (s *Set) TellDataplane(name string) error {
	defaults, err := policies.DataplaneDefaults(s.Library, name)
	if err != nil || name == "" {
		return err
	}
	if !slices.ContainsFunc(s.Policies, func(p v1alpha1.GatePolicy) bool { return p.Spec.Rule == policies.DataplaneRule }) {
		return fmt.Errorf("no policy wants to know: none is of the rule %s", policies.DataplaneRule)
	}
	s.defaults = defaults
	return nil
}

// Gate compiles the set. o says the rest: its Library, Policies, Exceptions and Defaults are replaced. The error is
// Problems: what in which file does not fit its rule.
func (s *Set) Gate(o policies.Options) (*policies.Gate, error) {
	o.Library, o.Policies, o.Exceptions, o.Defaults = s.Library, s.Policies, s.Exceptions, s.defaults
	gate, err := policies.NewGate(o)
	if err != nil {
		return nil, s.blame(err)
	}
	return gate, nil
}
