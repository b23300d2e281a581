package controllers

import (
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/lru"
)

// ledger is what the generator remembers. It is lost with the process, and found again: what exists is read from the API
// server, what is asked for comes from the policies.
type ledger struct {
	mu sync.Mutex
	// holdings are the objects that exist because of a policy, as far as is known.
	holdings map[string]*holdings
	// askedBy says because of what an object exists.
	askedBy map[objectKey]map[asker]bool
	// outcomes are what came of each trigger of a policy.
	outcomes map[string]map[objectKey]outcome
	// receipts are of objects that were written and of which no watch has told since.
	receipts map[objectKey]string
	// accepted are what the API server makes of contents, such as by its defaults.
	accepted *lru.Cache
	// unready are the namespaces whose pods have to wait.
	unready map[string]bool
	// unseen are the triggers that were not looked at since the policies changed; passed are the versions of policies for
	// which all were.
	unseen map[objectKey]bool
	passed map[string]policyVersion
	// turns are of objects that several triggers ask for, so that one at a time writes them.
	turns [32]sync.Mutex
	// limits bound how often each object is written.
	limits *lru.Cache
}

// acceptedContents bounds the contents of which is remembered what the API server makes of them: few differ, but for
// the names in them.
const acceptedContents = 4096

// An object is written up to writeBurst times without a pause, and then every writeInterval: whoever fights over it must not
// keep the API server busy. writtenObjects bounds those of which this is counted.
const (
	writeBurst     = 20
	writeInterval  = 3 * time.Second
	writtenObjects = 16384
)

// lock waits for the turn to look at an object and write it. What is in a namespace exists because of one trigger, which is
// looked at by one worker at a time.
func (l *ledger) lock(object objectKey) (unlock func()) {
	if object.Namespace != "" {
		return func() {}
	}
	hash := fnv.New32a()
	hash.Write([]byte(object.String()))
	turn := &l.turns[hash.Sum32()%uint32(len(l.turns))]
	turn.Lock()
	return turn.Unlock
}

// throttle says how long an object has to wait before it may be written; 0 counts as a write.
func (l *ledger) throttle(object objectKey) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.limits.Get(object)
	if !ok {
		known = rate.NewLimiter(rate.Every(writeInterval), writeBurst)
		l.limits.Add(object, known)
	}
	reservation := known.(*rate.Limiter).Reserve()
	wait := reservation.Delay()
	if wait > 0 {
		reservation.Cancel()
	}
	return wait
}

func (l *ledger) init() {
	l.holdings, l.outcomes = map[string]*holdings{}, map[string]map[objectKey]outcome{}
	l.askedBy, l.receipts = map[objectKey]map[asker]bool{}, map[objectKey]string{}
	l.unseen, l.passed = map[objectKey]bool{}, map[string]policyVersion{}
	l.accepted, l.limits, l.unready = lru.New(acceptedContents), lru.New(writtenObjects), map[string]bool{}
}

// seen notes that a watch told of an object, and returns the triggers because of which it exists.
func (l *ledger) seen(object objectKey) []objectKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.receipts, object)
	out := make([]objectKey, 0, len(l.askedBy[object]))
	for a := range l.askedBy[object] {
		out = append(out, a.trigger)
	}
	return out
}

// writes notes that an object is written, and that the state shows the version before.
func (l *ledger) writes(object objectKey, before, content string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts[object] = before + "\n" + content
}

// unwritten notes that the write failed.
func (l *ledger) unwritten(object objectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.receipts, object)
}

// isWritten tells whether the object was written like that, and the state does not show it yet.
func (l *ledger) isWritten(object objectKey, before, content string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.receipts[object] == before+"\n"+content
}

// forget drops what is known of a trigger that is gone, and returns the policies that it mattered to.
func (l *ledger) forget(trigger objectKey) (policies []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for policy, outcomes := range l.outcomes {
		if _, there := outcomes[trigger]; there {
			delete(outcomes, trigger)
			policies = append(policies, policy)
		}
	}
	for _, h := range l.holdings {
		for object := range h.objects[trigger] {
			l.unask(asker{h.policy, trigger}, object)
		}
		delete(h.objects, trigger)
	}
	if trigger.Kind == namespaceKind {
		delete(l.unready, trigger.Name)
	}
	return policies
}

// forgetReceipts drops those of a kind that was read as a whole: what was written and deleted meanwhile nobody told of.
func (l *ledger) forgetReceipts(kind schema.GroupKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for object := range l.receipts {
		if object.Kind == kind {
			delete(l.receipts, object)
		}
	}
}

// outcome is what came of one trigger of a policy.
type outcome struct {
	state      string // "" for none
	generation int64  // of the policy
	message    string
}

const (
	satisfiedState = "satisfied"
	pendingState   = "pending"
	failedState    = "failed"
	olderState     = "older"
)

// note keeps an outcome and tells whether it is new.
func (l *ledger) note(policy string, trigger objectKey, out outcome) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outcomes[policy] == nil {
		l.outcomes[policy] = map[objectKey]outcome{}
	}
	before := l.outcomes[policy][trigger]
	if out.state == "" {
		delete(l.outcomes[policy], trigger)
	} else {
		l.outcomes[policy][trigger] = out
	}
	return before != out
}

// of are the outcomes of a policy.
func (l *ledger) of(policy string) map[objectKey]outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.outcomes[policy])
}

// setReady notes whether a namespace's pods have to wait, and tells whether they no longer do.
func (l *ledger) setReady(namespace string, ready bool) (freed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	freed = ready && l.unready[namespace]
	if ready {
		delete(l.unready, namespace)
	} else {
		l.unready[namespace] = true
	}
	return freed
}

func (l *ledger) isUnready(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unready[namespace]
}

// policies are those of which something is known.
func (l *ledger) policies() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]bool{}
	for name := range l.holdings {
		all[name] = true
	}
	for name := range l.outcomes {
		all[name] = true
	}
	return slices.Collect(maps.Keys(all))
}

// forgetPolicy drops what is known of a policy that is gone, or generates nothing any more.
func (l *ledger) forgetPolicy(policy string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.holdings[policy]; h != nil {
		for trigger, objects := range h.objects {
			for object := range objects {
				l.unask(asker{policy, trigger}, object)
			}
		}
	}
	delete(l.holdings, policy)
	delete(l.outcomes, policy)
	delete(l.passed, policy)
}
