package controllers

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// asker is a policy that asks for an object because of a trigger.
type asker struct {
	policy  string
	trigger objectKey
}

// policyVersion is one version of a policy.
type policyVersion struct {
	uid        types.UID
	generation int64
}

// holdings are the objects of one policy by trigger.
type holdings struct {
	policy  string
	version policyVersion
	again   time.Time // when to read the inventory again, because not all of it could be read
	ledger  *ledger
	// objects are true once they are known to exist, and false while they are only asked for.
	objects map[objectKey]map[objectKey]bool
}

// unattributed stands for the triggers of an object that says nothing about them: all of a policy's triggers ask for it.
var unattributed = objectKey{}

// of are the objects that exist or are asked for because of a trigger.
func (h *holdings) of(trigger objectKey) map[objectKey]bool {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	out := maps.Clone(h.objects[trigger])
	if out == nil {
		out = map[objectKey]bool{}
	}
	return out
}

// ask notes that an object is asked for because of a trigger. If another policy asks for the same object, the first of the two by
// name has it: then other is that policy, and nothing is noted.
func (h *holdings) ask(trigger, object objectKey) (other string) {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	if h.isStale() {
		return ""
	}
	for a := range h.ledger.askedBy[object] {
		if a.policy < h.policy && (other == "" || a.policy < other) {
			other = a.policy
		}
	}
	if other == "" {
		h.put(trigger, object, h.objects[trigger][object])
	}
	return other
}

// exists notes that an object that was asked for exists.
func (h *holdings) exists(trigger, object objectKey) {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	if !h.isStale() {
		h.put(trigger, object, true)
	}
}

// isStale tells that the policy is gone, or generates nothing any more: what is still done for it is not noted.
func (h *holdings) isStale() bool { return h.ledger.holdings[h.policy] != h }

// release notes that objects are no longer asked for because of a trigger, but stay: another policy may ask for them.
func (h *holdings) release(trigger objectKey) {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	for object := range h.objects[trigger] {
		h.ledger.unask(asker{h.policy, trigger}, object)
	}
}

func (h *holdings) put(trigger, object objectKey, exists bool) {
	if h.objects[trigger] == nil {
		h.objects[trigger] = map[objectKey]bool{}
	}
	h.objects[trigger][object] = exists
	if h.ledger.askedBy[object] == nil {
		h.ledger.askedBy[object] = map[asker]bool{}
	}
	h.ledger.askedBy[object][asker{h.policy, trigger}] = true
}

// drop notes that an object no longer exists because of a trigger.
func (h *holdings) drop(trigger, object objectKey) {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	delete(h.objects[trigger], object)
	if len(h.objects[trigger]) == 0 {
		delete(h.objects, trigger)
	}
	h.ledger.unask(asker{h.policy, trigger}, object)
}

// isShared tells whether an object exists because of something else, too.
func (h *holdings) isShared(trigger, object objectKey) bool {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	for a := range h.ledger.askedBy[object] {
		if a != (asker{h.policy, trigger}) && a.trigger != unattributed {
			return true
		}
	}
	return false
}

func (l *ledger) unask(a asker, object objectKey) {
	delete(l.askedBy[object], a)
	if len(l.askedBy[object]) == 0 {
		delete(l.askedBy, object)
		delete(l.receipts, object)
	}
}

// begin notes triggers that have to be looked at.
func (l *ledger) begin(triggers []objectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, trigger := range triggers {
		l.unseen[trigger] = true
	}
}

// end notes that a trigger was looked at, and tells whether it was the last.
func (l *ledger) end(trigger objectKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.unseen[trigger]
	delete(l.unseen, trigger)
	return was && len(l.unseen) == 0
}

// pass notes versions of policies for which everything was looked at; it does nothing while something was not. It returns what
// exists because of a policy and of no trigger that is known.
func (l *ledger) pass(versions map[string]policyVersion) (left map[string][]objectKey, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unseen) > 0 {
		return nil, false
	}
	l.passed, left = versions, map[string][]objectKey{}
	for policy, h := range l.holdings {
		if h.version != versions[policy] {
			continue
		}
		for object := range h.objects[unattributed] {
			if len(l.askedBy[object]) <= 1 { // by nobody but the inventory
				left[policy] = append(left[policy], object)
			}
		}
	}
	return left, true
}

// hasPassed tells whether everything was looked at for a version of a policy.
func (l *ledger) hasPassed(policy string, v policyVersion) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	passed, there := l.passed[policy]
	return there && passed == v
}

// holdingsOf are those of a policy, or nil.
func (l *ledger) holdingsOf(policy string) *holdings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holdings[policy]
}
