package engine

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Bundled is a rule of a folder with all that it takes to stand in a policy of its own.
type Bundled struct {
	Rule   *Rule
	Source string   // of the rule, as the file has it
	Libs   []string // of the folder's lib modules that the rule reaches, in the order of their files
}

// Bundle takes a folder of rules apart, sorted by the rules' ids. shipped are the modules that are there wherever
// policies are: they are linked, and not bundled. All that is wrong is reported at once, as by Load. A folder without rules
// gives none.
func Bundle(folder fs.FS, shipped ...fs.FS) ([]Bundled, error) {
	library, err := Load(append(slices.Clone(shipped), folder)...)
	if err != nil {
		return nil, err
	}
	sources, err := Sources(folder)
	if err != nil {
		return nil, err
	}
	var out []Bundled
	var errs []error
	for _, rule := range library.Rules() {
		source, own := sources[rule.File]
		if !own {
			continue
		}
		if len(validation.IsDNS1123Subdomain(rule.ID)) > 0 {
			errs = append(errs, fault(rule.module.Package.Location, "the package makes %q the rule's id, which can't be the name of a policy: "+
				"write it with lower-case letters, digits and _, in at most 253 characters", rule.ID))
			continue
		}
		bundled := Bundled{Rule: rule, Source: source}
		for _, file := range slices.Sorted(maps.Keys(rule.libs)) {
			if lib, own := sources[file]; own {
				bundled.Libs = append(bundled.Libs, lib)
			}
		}
		out = append(out, bundled)
	}
	slices.SortFunc(out, func(a, b Bundled) int { return cmp.Compare(a.Rule.ID, b.Rule.ID) })
	return out, errors.Join(errs...)
}
