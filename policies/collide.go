package policies

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Collision is two policies that patch one path with different values: whatever object both apply to can't be
// admitted. Only what is certain from the text of both is found here; the rest shows when an object is patched.
type Collision struct {
	Policies [2]string // sorted
	Path     string
	Values   [2]string
}

// Error names both policies.
func (c *Collision) Error() string {
	return fmt.Sprintf("policies %q and %q both patch %s, with %s and %s, and match the same objects: narrow one of them or give both the same value",
		c.Policies[0], c.Policies[1], c.Path, c.Values[0], c.Values[1])
}

// Collisions finds policies whose patches are bound to collide, sorted by name.
func (g *Gate) Collisions() []*Collision {
	type patching struct {
		policy *policy
		writes []engine.Operation6902
	}
	var all []patching
	for i := range g.policies {
		p := &g.policies[i]
		if p.action != v1alpha1.ActionDeny || p.rule == nil || !p.rule.States(engine.Patch) {
			continue
		}
		if writes := g.program.ConstantPatches(i); len(writes) > 0 {
			all = append(all, patching{p, writes})
		}
	}
	var out []*Collision
	for i, a := range all {
		for _, b := range all[i+1:] {
			if !a.policy.match.surelyOverlaps(b.policy.match) {
				continue
			}
			for _, one := range a.writes {
				for _, other := range b.writes {
					if one.Path == other.Path && one.Op != "remove" && other.Op != "remove" && !one.Value.Equal(other.Value) {
						out = append(out, &Collision{[2]string{a.policy.name, b.policy.name}, one.Path, [2]string{one.Value.String(), other.Value.String()}})
					}
				}
			}
		}
	}
	return out
}

// surelyOverlaps tells whether some request is bound to match both: there is a namespace that both name or leave
// open, and not each has a label selector of its own.
func (m matcher) surelyOverlaps(other matcher) bool {
	return slices.ContainsFunc(m.kinds, func(kind schema.GroupKind) bool { return slices.Contains(other.kinds, kind) }) &&
		slices.ContainsFunc(m.operations, func(o engine.Operation) bool {
			return o != engine.Delete && slices.Contains(other.operations, o)
		}) &&
		slices.ContainsFunc(witnesses(m, other), func(namespace string) bool {
			return m.admitsNamespace(namespace) && other.admitsNamespace(namespace)
		}) &&
		oneOpen(m.namespaceSelector, other.namespaceSelector) && oneOpen(m.objectSelector, other.objectSelector)
}

// witnesses are namespaces that show whether two matches overlap: those they name, and one that nobody names.
func witnesses(a, b matcher) []string {
	out := []string{"a-namespace-of-any-other-name"}
	for _, globs := range [][]string{a.namespaces, b.namespaces} {
		for _, glob := range globs {
			out = append(out, strings.ReplaceAll(glob, "*", "x"))
		}
	}
	return out
}

// oneOpen tells whether what one selector selects, the other selects too: it is absent, or the same.
func oneOpen(a, b labels.Selector) bool {
	return a == nil || b == nil || a.String() == b.String()
}
