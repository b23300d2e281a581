package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Collision is two policies that patch one path with different values: an object to which both apply can't be admitted.
type Collision struct {
	Policy, Other     string
	Path              string // a JSON Pointer
	Value, OtherValue string // JSON
}

// Error names the other policy: it is an error of the first.
func (c *Collision) Error() string {
	return fmt.Sprintf("it disagrees with policy %q about %s: %s against %s", c.Other, c.Path, c.Value, c.OtherValue)
}

// maxWitnesses bounds the objects of one kind on which Collisions are looked for.
const maxWitnesses = 64

// Collisions finds policies whose patches are bound to collide: on an object of a common kind that has nothing but its
// name, in a namespace that both match. What collides only on other objects shows when one is patched.
func (g *Gate) Collisions(ctx context.Context) []*Collision {
	var out []*Collision
	for _, kind := range g.Kinds() {
		patching := slices.DeleteFunc(slices.Clone(g.byKind[kind]), func(i int) bool {
			p := &g.policies[i]
			return p.err != nil || p.action != v1alpha1.ActionDeny || !p.rule.States(engine.Patch)
		})
		if len(patching) < 2 {
			continue
		}
		for _, namespace := range g.witnesses(patching) {
			for _, c := range g.collide(ctx, kind, namespace, patching) {
				if !slices.ContainsFunc(out, func(known *Collision) bool { return *known == *c }) {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// witnesses are namespaces in which policies may meet: those that they name, and one that none names.
func (g *Gate) witnesses(patching []int) []string {
	out := []string{"a-namespace-of-any-other-name"}
	for _, i := range patching {
		for _, glob := range g.policies[i].match.namespaces {
			out = append(out, strings.ReplaceAll(glob, "*", "x"))
		}
	}
	slices.Sort(out[1:])
	out = slices.Compact(out)
	return out[:min(len(out), maxWitnesses)]
}

// collide patches the witness of a kind in a namespace.
func (g *Gate) collide(ctx context.Context, kind schema.GroupKind, namespace string, patching []int) []*Collision {
	version := "v1"
	if kind.Group != "" {
		version = kind.Group + "/v1"
	}
	object, err := engine.FromGo(map[string]any{"apiVersion": version, "kind": kind.Kind,
		"metadata": map[string]any{"name": "witness", "namespace": namespace}})
	if err != nil {
		return nil
	}
	r, err := Compose(engine.Create, object, engine.Document{})
	if err != nil {
		return nil
	}
	lookup := &namespaceLookup{source: g.namespaces}
	active := slices.DeleteFunc(slices.Clone(patching), func(i int) bool {
		match := g.policies[i].match
		return match.namespaceSelector != nil || !match.matches(r)
	})
	_, failed := g.patch(ctx, r, lookup, active)
	var out []*Collision
	for _, f := range failed {
		var collision *Collision
		if errors.As(f.err, &collision) {
			out = append(out, collision)
		}
	}
	return out
}
