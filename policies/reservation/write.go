package reservation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How a journal is written into a Lease.
const (
	label              = "policy.sluice.dev/reservations" // of all journals
	admittedAnnotation = "policy.sluice.dev/admitted"
	sequenceAnnotation = "policy.sluice.dev/sequence" // counts the writes, for whoever doesn't need the rest
)

// writer is the Lease of this replica.
type writer struct {
	name    string
	version string // of the Lease; empty if it may not exist, or may have another one
}

const (
	tidyInterval = time.Second // between looks whether something written is over
	writeTime    = 5 * time.Second
	maxWrites    = 4
	leaveRetry   = 200 * time.Millisecond
)

// write writes the journal whenever there is something to write, until ctx ends.
func (j *Journal) write(ctx context.Context) {
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			j.leave(context.WithoutCancel(ctx))
			return
		case <-j.wake:
		case <-tidy.C:
		}
		if r, ok := j.next(); ok {
			if err := j.put(ctx, r); err != nil {
				j.unwritten(r.sequence, err)
			}
		}
	}
}

// leave writes the journal for the last time, without holds. If that fails, others wait until they are over.
func (j *Journal) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	j.mu.Lock()
	j.left = true
	j.dropAllHolds()
	j.mu.Unlock()
	r, ok := j.next()
	for ok && j.put(ctx, r) != nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(leaveRetry):
		}
	}
}

// next is what is to be written.
func (j *Journal) next() (record, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.prune()
	j.tidyHolds()
	waits := func(o *own) bool { return o.sequence == 0 && !o.Covered }
	if !j.changed && !slices.ContainsFunc(j.own, waits) {
		return record{}, false
	}
	j.sequence++
	j.changed, j.began[j.sequence] = false, j.now()
	r := record{Settled: j.settled, sequence: j.sequence}
	for _, o := range j.own {
		if o.sequence == 0 {
			o.sequence = j.sequence
		}
		r.Entries = append(r.Entries, o.entry)
	}
	return r, true
}

// prune drops what is over. It needs the lock.
func (j *Journal) prune() {
	now, over := j.now(), versions{}
	j.own = slices.DeleteFunc(j.own, func(o *own) bool {
		switch {
		case o.look != nil:
			return false
		case o.Ingress != nil && !o.Hold && j.State.HostsShown(o.Ingress.claim()):
			over.Ingresses = j.State.Version(ingressKind)
		case o.NetworkPolicy != nil && !o.Hold && j.State.PolicyChanged(o.NetworkPolicy.change()):
			over.NetworkPolicies = j.State.Version(networkPolicyKind)
		case now.Before(o.expires):
			return false
		}
		j.changed = j.changed || o.sequence > 0
		return true
	})
	j.settled = j.settled.max(over)
}

// unwritten ends the admission of what was to be written first. It may have been: the next write takes it out again.
func (j *Journal) unwritten(sequence int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changed = true
	for _, o := range j.own {
		if o.sequence == sequence && o.look != nil {
			o.look, o.err = nil, err
			close(o.seen)
		}
	}
}

// put writes the Lease.
func (j *Journal) put(ctx context.Context, r record) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	for range maxWrites {
		lease, err := j.lease(r)
		if err != nil {
			return err
		}
		if j.writer.version == "" {
			err = j.Client.Create(ctx, lease)
		} else {
			lease.ResourceVersion = j.writer.version
			lease.ManagedFields = []metav1.ManagedFieldsEntry{{}}
			err = j.Client.Update(ctx, lease)
		}
		if err == nil {
			j.writer.version = lease.ResourceVersion
			return nil
		}
		j.writer.version = ""
		switch {
		case apierrors.IsAlreadyExists(err): // it was written, and no answer came
			stored := &coordinationv1.Lease{}
			if err := j.Client.Get(ctx, client.ObjectKeyFromObject(lease), stored); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			j.writer.version = stored.ResourceVersion
		case !apierrors.IsConflict(err) && !apierrors.IsNotFound(err): // these: it was deleted, as are those of replicas that have gone
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	return fmt.Errorf("write the journal: the Lease %s/%s was changed by somebody else %d times", j.Namespace, j.writer.name, maxWrites)
}

func (j *Journal) lease(r record) (*coordinationv1.Lease, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	seconds := int32(j.Life/time.Second) + 1
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: j.Namespace, Name: j.writer.name, Labels: map[string]string{label: "journal"},
		Annotations: map[string]string{admittedAnnotation: string(text), sequenceAnnotation: strconv.FormatInt(r.sequence, 10)}},
		Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: time.Now()}}}
	if j.Replica != "" {
		lease.Spec.HolderIdentity = &j.Replica
	}
	return lease, nil
}
