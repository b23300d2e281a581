package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Mutate collects the patches of all policies that match a CREATE, or an UPDATE that changes something
// their rule judges or brings the object under the policy. The patches are ordered by policy, have their parents created, don't contradict each
// other and change nothing when applied twice; a policy that breaks this, or fails, is a finding.
func (g *Gate) Mutate(ctx context.Context, r Request) Decision {
	if reason := g.exemption(r); reason != "" {
		return Decision{Judged: true, Exempt: reason}
	}
	d := Decision{Judged: true}
	if r.Operation == engine.Delete {
		return d
	}
	namespace := &namespaceLookup{source: g.namespaces}
	candidates, findings := g.candidates(ctx, r, namespace, engine.Patch)
	active := slices.DeleteFunc(candidates, func(i int) bool {
		return g.policies[i].ratchets(r)
	})
	m, failed := g.patch(ctx, r, namespace, active)
	d.Patches, findings = m.patches, append(findings, m.findings...)
	for _, f := range failed {
		findings = append(findings, g.policies[f.policy].failure(r, f.err))
	}
	g.excuse(ctx, r, namespace, findings)
	sortFindings(findings)
	d.Findings = findings
	return d
}

// patchFailure is a policy whose patches could not be used.
type patchFailure struct {
	policy int
	err    error
}

// patch asks the active policies for patches. One bad policy does not stop the others: they start anew without it.
func (g *Gate) patch(ctx context.Context, r Request, namespace *namespaceLookup, active []int) (*mutation, []patchFailure) {
	var failed []patchFailure
	for {
		m := &mutation{gate: g, original: r, object: r.Object, owners: map[string]Patch{}, patched: map[int]bool{}}
		for len(active) > 0 && m.round(ctx, namespace, active) {
			continue
		}
		if m.err == nil {
			return m, failed
		}
		failed = append(failed, patchFailure{m.failed, m.err})
		active = slices.DeleteFunc(active, func(i int) bool { return i == m.failed })
	}
}

// mutation is the work on one object.
type mutation struct {
	gate     *Gate
	original Request
	object   engine.Document  // with all patches so far
	patches  []Patch          // in order
	owners   map[string]Patch // by path: who set it
	patched  map[int]bool     // policies that patched in an earlier round
	findings []Finding
	failed   int   // the policy because of which the work ended
	err      error // why
}

// round evaluates all policies on the object as patched so far, and tells whether another round is needed.
// A policy that wants to change the object in two rounds is not idempotent.
func (m *mutation) round(ctx context.Context, namespace *namespaceLookup, active []int) (again bool) {
	r := m.original.WithObject(m.object)
	first := len(m.patched) == 0
	outcomes := m.gate.program.Evaluate(ctx, m.gate.input(r, namespace), active, engine.Patch)
	var changed []int
	for _, outcome := range outcomes {
		p := &m.gate.policies[outcome.Policy]
		switch {
		case outcome.Err != nil:
			m.failed, m.err = outcome.Policy, outcome.Err
			return false
		case p.action != v1alpha1.ActionDeny:
			if first {
				m.report(p, outcome.Patch)
			}
			continue
		}
		did, err := m.apply(p, outcome.Patch)
		if m.patched[outcome.Policy] {
			err = notIdempotent(did, err)
		}
		if err != nil {
			m.failed, m.err = outcome.Policy, err
			return false
		}
		if did {
			changed = append(changed, outcome.Policy)
		}
	}
	for _, i := range changed {
		m.patched[i] = true
	}
	return len(changed) > 0
}

// notIdempotent is the error for a policy that has patched in an earlier round, and now changed the object or failed.
func notIdempotent(changed bool, err error) error {
	var collision *Collision
	switch {
	case errors.As(err, &collision):
		return err
	case err != nil:
		return fmt.Errorf("the patch is not idempotent: applied to its own result it fails: %w", err)
	case changed:
		return errors.New("the patch is not idempotent: applied to its own result it changes the object again")
	}
	return nil
}

// report says what a policy with action Warn or Audit would do.
func (m *mutation) report(p *policy, operations []engine.Operation6902) {
	for _, op := range operations {
		value := ""
		if op.Op != "remove" {
			value = ": " + op.Value.String()
		}
		m.findings = append(m.findings, p.finding(m.original, p.effect(),
			engine.Finding{Message: "would " + op.Op + " " + op.Path + value, Field: fieldPath(op.Path)}))
	}
}

// apply adds a policy's operations that change the object.
func (m *mutation) apply(p *policy, operations []engine.Operation6902) (changed bool, err error) {
	for _, op := range operations {
		before := m.object
		steps := append(missingParents(m.object, op), op)
		for _, step := range steps {
			if m.object, err = applyOperations(m.object, step); err != nil {
				return changed, fmt.Errorf("%s %s: %w", step.Op, step.Path, err)
			}
		}
		if m.object.Equal(before) {
			continue
		}
		if owner, taken := m.owners[op.Path]; taken && owner.Policy != p.name && !strings.HasSuffix(op.Path, "/-") {
			return changed, &Collision{Policy: p.name, Other: owner.Policy, Path: op.Path, Value: op.Value.String(), OtherValue: owner.Value.String()}
		}
		changed = true
		for _, step := range steps {
			patch := Patch{Policy: p.name, Operation6902: step}
			m.owners[step.Path] = patch
			m.patches = append(m.patches, patch)
		}
	}
	return changed, nil
}

// missingParents are the additions that an addition needs first (RFC 6902 has none of its own).
func missingParents(object engine.Document, op engine.Operation6902) []engine.Operation6902 {
	if op.Op != "add" {
		return nil
	}
	var out []engine.Operation6902
	keys := pointerKeys(op.Path)
	at := object
	for i, key := range keys[:len(keys)-1] {
		if at.IsArray() {
			index, err := strconv.Atoi(key)
			elements := at.Elements()
			if err != nil || index < 0 || index >= len(elements) {
				return out
			}
			at = elements[index]
			continue
		}
		next := at.Get(key)
		if !next.Exists() {
			empty := "{}"
			if _, err := strconv.Atoi(keys[i+1]); err == nil || keys[i+1] == "-" {
				empty = "[]"
			}
			next, _ = engine.ParseJSON([]byte(empty))
			out = append(out, engine.Operation6902{Op: "add", Path: "/" + strings.Join(escapeKeys(keys[:i+1]), "/"), Value: next})
		}
		at = next
	}
	return out
}

// pointerKeys are the unescaped parts of a JSON Pointer (RFC 6901).
func pointerKeys(pointer string) []string {
	keys := strings.Split(pointer, "/")[1:]
	for i, key := range keys {
		keys[i] = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
	}
	return keys
}

func escapeKeys(keys []string) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
	}
	return out
}

// fieldPath is the Kubernetes field path of a JSON Pointer; the end of a list is the list.
func fieldPath(pointer string) string {
	var out strings.Builder
	for _, key := range pointerKeys(pointer) {
		_, err := strconv.Atoi(key)
		switch {
		case key == "-":
		case err == nil, strings.ContainsAny(key, "./"):
			out.WriteString("[" + key + "]")
		default:
			if out.Len() > 0 {
				out.WriteByte('.')
			}
			out.WriteString(key)
		}
	}
	return out.String()
}

// Patched is the request that follows when the API server has applied patches.
func (r Request) Patched(patches []Patch) (Request, error) {
	operations := make([]engine.Operation6902, len(patches))
	for i, p := range patches {
		operations[i] = p.Operation6902
	}
	object, err := applyOperations(r.Object, operations...)
	if err != nil || len(patches) == 0 {
		return r, err
	}
	return r.WithObject(object), nil
}

func applyOperations(object engine.Document, operations ...engine.Operation6902) (engine.Document, error) {
	if len(operations) == 0 {
		return object, nil
	}
	before, err := object.MarshalJSON()
	if err != nil {
		return object, err
	}
	encoded, err := json.Marshal(operations)
	if err != nil {
		return object, fmt.Errorf("encode patch: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return object, fmt.Errorf("read patch: %w", err)
	}
	after, err := patch.Apply(before)
	if err != nil {
		return object, fmt.Errorf("apply patch: %w", err)
	}
	return engine.ParseJSON(after)
}
