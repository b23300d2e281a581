package state

import (
	"fmt"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

// NetworkPolicies implements engine.PolicyIndex. What facts read of a policy is kept with it, and the list until
// something in the namespace changes.
func (x *Index) NetworkPolicies(namespace string) (*engine.PolicyList, error) {
	entries := x.entries(networkPolicyKind, namespace)
	x.mu.RLock()
	f := x.kinds[networkPolicyKind][namespace]
	if f != nil && f.policies != nil && sameEntries(f.sorted, entries) {
		defer x.mu.RUnlock()
		return f.policies, nil
	}
	x.mu.RUnlock()
	documents, policies := make([]engine.Document, len(entries)), make([]*facts.Policy, len(entries))
	for i, e := range entries {
		var err error
		if documents[i], err = e.document(); err != nil {
			return nil, err
		}
		if policies[i], err = e.networkPolicy(documents[i]); err != nil {
			return nil, err
		}
	}
	list := engine.NewPolicyList(documents, policies)
	x.mu.Lock()
	defer x.mu.Unlock()
	if f := x.kinds[networkPolicyKind][namespace]; f != nil && sameEntries(f.sorted, entries) {
		f.policies = list
	}
	return list, nil
}

// sameEntries tells whether two sorted lists of a folder are one.
func sameEntries(a, b []*entry) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (e *entry) networkPolicy(document engine.Document) (*facts.Policy, error) {
	if known := e.policy.Load(); known != nil {
		return known, nil
	}
	policy, err := engine.ReadPolicy(document)
	if err != nil {
		return nil, fmt.Errorf("read %s from the state: %w", e.name, err)
	}
	e.policy.Store(policy)
	return policy, nil
}
