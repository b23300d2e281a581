package reservation

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"
)

// An entry is decided by those that came before it, once its write has come back and nothing that is held is in its way.

// lasting are the entries of others, and those of this replica that came before one; all if it is nil. What is covered came before
// everything that is not. It needs the lock.
func (j *Journal) lasting(mine *own) iter.Seq[*held] {
	now := j.now()
	return func(yield func(*held) bool) {
		for _, other := range j.others {
			for _, h := range other.entries {
				before := mine == nil || mine.before == 0 || h.arrived <= mine.before || h.Covered
				if before && now.Before(h.expires) && !yield(h) {
					return
				}
			}
		}
		after := false
		for _, o := range j.own {
			if o == mine {
				after = true
				continue
			}
			if (!after || o.Covered) && now.Before(o.expires) && !yield(&o.held) {
				return
			}
		}
	}
}

// resolve has the entries of writes that came back look at what came before. It needs the lock.
func (j *Journal) resolve() {
	var err error
	behind := j.settled // which was seen, unless another API server knew less
	for name, other := range j.others {
		if other.err != nil {
			err = fmt.Errorf("the Lease %s/%s can't be read, delete it: %w", j.Namespace, name, other.err)
		}
		behind = behind.max(other.settled)
	}
	for _, o := range j.own {
		if o.look == nil || o.sequence == 0 || o.sequence > j.back {
			continue
		}
		if o.obstacle = j.obstacle(o); o.obstacle != nil {
			if o.before == 0 {
				o.before = j.arrivals // what comes meanwhile came later
			}
			continue
		}
		o.err, o.behind = err, behind
		o.look(&o.held, j.lasting(o))
		o.look = nil
		close(o.seen)
	}
}

// waitsFor says what an entry has waited for in vain.
func (j *Journal) waitsFor(mine *own) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if mine.obstacle == nil {
		return "the write did not come back"
	}
	return j.doesNotAnswer(mine.obstacle)
}

// doesNotAnswer says why a hold of another replica can't be had. It needs the lock.
func (j *Journal) doesNotAnswer(o *held) string {
	what := "NetworkPolicies of the namespace are being changed"
	if o.Ingress != nil {
		what = fmt.Sprintf("namespace %s creates Ingresses in the same domain (%s)", o.Ingress.Namespace, strings.TrimPrefix(o.Ingress.Hosts[0].Host, "."))
	}
	return fmt.Sprintf("%s, and the replica of Sluice that admits them does not answer; if it is gone, this ends within %s", what, o.expires.Sub(j.now()).Round(time.Second))
}

// catchUp waits until the state shows what became of everything that others have taken out of their journals.
func (j *Journal) catchUp(ctx context.Context, mine *own) error {
	if mine.Ingress != nil {
		return j.State.AwaitVersion(ctx, ingressKind, mine.behind.Ingresses)
	}
	return j.State.AwaitVersion(ctx, networkPolicyKind, mine.behind.NetworkPolicies)
}
