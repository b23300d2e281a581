package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
)

// IsolationClaimer settles races between changes that take isolation from pods: of two that are each fine while the other
// policy stays, on this replica or another, it lets one through.
type IsolationClaimer interface {
	// Claim has judge decide on a change by the NetworkPolicies that there are, but for those that others were admitted to
	// change and that have not changed yet. If judge admits it, it is one of these from then on. judge may be called
	// several times, of which the last counts. It isn't called if suffice is content with some of these policies.
	Claim(ctx context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool, judge func(state.Remaining) bool) error
	// Remaining is what Claim has judged, by the NetworkPolicies that the API server has at this moment.
	Remaining(ctx context.Context, of state.PolicyChange) (state.Remaining, error)
}

// The kinds about whose isolation rules are asked.
var (
	networkPolicyKind = schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}
	namespaceKind     = schema.GroupKind{Kind: "Namespace"}
)

// settleIsolation decides by the API server's objects what rules about isolation have said by the state, which lags: of
// a change that takes isolation from pods unless other policies stay. It returns the findings of all policies.
func (g *Gate) settleIsolation(ctx context.Context, r Request, namespace *namespaceLookup, active []int, findings []Finding) []Finding {
	if g.isolation == nil || r.SubResource != "" || r.Operation == engine.Create {
		return findings
	}
	asking := slices.DeleteFunc(slices.Clone(active), func(i int) bool {
		return !slices.Contains(g.policies[i].rule.Reserves, engine.ReservedIsolation)
	})
	if len(asking) == 0 {
		return findings
	}
	q := isolationQuestion{Gate: g, request: r, namespace: namespace, asking: asking, of: changeOf(r)}
	var said, rest []Finding
	for _, f := range findings {
		if slices.ContainsFunc(asking, func(i int) bool { return g.policies[i].name == f.Policy }) {
			said = append(said, f)
		} else {
			rest = append(rest, f)
		}
	}
	switch {
	case r.isNamespace(): // what isn't seen yet isolates too
	case r.Kind.GroupKind() != networkPolicyKind || len(said) == 0 && len(q.judge(ctx, state.Remaining{Policies: engine.NewPolicyList(nil, nil)})) == 0:
		return findings
	}
	settled, err := q.settle(ctx, len(denials(said)) > 0, len(denials(rest)) == 0)
	if err != nil {
		settled = q.failed(ctx, err)
	}
	return append(rest, settled...)
}

// changeOf names the object that a request changes. A request to delete a collection has no name of its own.
func changeOf(r Request) state.PolicyChange {
	if r.isNamespace() {
		return state.PolicyChange{Namespace: r.OldObject.Get("metadata", "name").Text()}
	}
	return state.ChangeOf(r.Namespace, r.OldObject)
}

// isolationQuestion is a change that some policies judge by the other NetworkPolicies of its namespace.
type isolationQuestion struct {
	*Gate
	request   Request
	namespace *namespaceLookup
	asking    []int
	of        state.PolicyChange
}

// settle judges by what the API server has where the state refuses. A change that will be stored, as far as is known, is
// claimed.
func (q isolationQuestion) settle(ctx context.Context, refused, admitted bool) (findings []Finding, err error) {
	refusing := slices.ContainsFunc(q.asking, func(i int) bool {
		p := &q.policies[i]
		return p.states(engine.Deny) && p.effect() == EffectDeny && !p.ratchets(q.request)
	})
	claims := admitted && refusing && !q.request.DryRun && !q.request.isNamespace()
	if refused || !claims {
		left, err := q.isolation.Remaining(ctx, q.of)
		if err != nil {
			return nil, err
		}
		if findings = q.settled(ctx, left); !claims || len(denials(findings)) > 0 {
			return findings, nil
		}
	}
	suffice := func(some *engine.PolicyList) bool { return len(q.judge(ctx, state.Remaining{Policies: some})) == 0 }
	err = q.isolation.Claim(ctx, q.of, suffice, func(left state.Remaining) bool {
		findings = q.settled(ctx, left)
		return len(denials(findings)) == 0
	})
	return findings, err
}

// settled is what the policies say by the remaining NetworkPolicies and, if they complain, by the Namespace as the API
// server has it: it may be being deleted.
func (q isolationQuestion) settled(ctx context.Context, left state.Remaining) []Finding {
	found := q.judge(ctx, left)
	if len(found) == 0 {
		return nil
	}
	home, err := q.live.Namespace(ctx, q.of.Namespace)
	if err != nil {
		return q.failed(ctx, err)
	}
	if home.Get("metadata", "deletionTimestamp").Exists() {
		found = q.judgeIn(ctx, left, home)
	}
	if len(left.Pending) > 0 {
		for i := range found {
			if !found[i].Failed {
				found[i].Message += pendingNote(left.Pending)
			}
		}
	}
	q.excuse(ctx, q.request, q.namespace, found)
	return found
}

func pendingNote(names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("; NetworkPolicy %s does not count, a change of it was admitted a moment ago", names[0])
	}
	more := ""
	if n := len(names); n > 3 {
		names, more = names[:3], fmt.Sprintf(" and %d more", n-3)
	}
	return fmt.Sprintf("; NetworkPolicies %s%s do not count, changes of them were admitted a moment ago", strings.Join(names, ", "), more)
}

func (q isolationQuestion) judge(ctx context.Context, left state.Remaining) []Finding {
	return q.judgeIn(ctx, left, engine.Document{})
}

func (q isolationQuestion) judgeIn(ctx context.Context, left state.Remaining, home engine.Document) []Finding {
	known := remainingState{State: q.state, namespace: q.of.Namespace, policies: left.Policies, home: home}
	return q.evaluateBy(ctx, known, q.request, q.namespace, q.asking, engine.Deny, engine.Warn)
}

func (q isolationQuestion) failed(ctx context.Context, err error) []Finding {
	var out []Finding
	for _, i := range q.asking {
		out = append(out, q.policies[i].failure(q.request, err))
	}
	q.excuse(ctx, q.request, q.namespace, out)
	return out
}

func denials(findings []Finding) []Finding { return Decision{Findings: findings}.Denials() }

// remainingState is a State but for one namespace, whose NetworkPolicies are known better.
type remainingState struct {
	engine.State
	namespace string
	policies  *engine.PolicyList
	home      engine.Document // the Namespace, if that is known better too
}

var errElsewhere = errors.New("of another namespace the list is not kept")

// NetworkPolicies implements engine.PolicyIndex.
func (s remainingState) NetworkPolicies(namespace string) (*engine.PolicyList, error) {
	if namespace != s.namespace {
		return nil, errElsewhere // and List answers
	}
	return s.policies, nil
}

// List implements engine.State.
func (s remainingState) List(kind schema.GroupKind, namespace string) ([]engine.Document, error) {
	if kind == networkPolicyKind && namespace == s.namespace {
		return s.policies.Objects()
	}
	return s.State.List(kind, namespace)
}

// Get implements engine.State.
func (s remainingState) Get(kind schema.GroupKind, namespace, name string) (engine.Document, bool, error) {
	switch {
	case kind == networkPolicyKind && namespace == s.namespace:
		objects, err := s.policies.Objects()
		for _, object := range objects {
			if object.Get("metadata", "name").Text() == name {
				return object, true, nil
			}
		}
		return engine.Document{}, false, err
	case kind == namespaceKind && name == s.namespace && s.home.Exists():
		return s.home, true, nil
	}
	return s.State.Get(kind, namespace, name)
}
