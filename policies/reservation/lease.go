package reservation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// label marks the Leases of reservations. Its value is what they reserve.
const label = "policy.sluice.dev/reservation"

// maxEntries bounds what a Lease holds, in bytes. An API server takes 256 KiB of annotations.
const maxEntries = 200 << 10

// reserved is an entry of a Lease.
type reserved interface {
	until() time.Time // when it expires
	holder() string   // for people
}

// subject is what the entries of some Leases reserve, and how these look.
type subject struct {
	what              string // the label's value, and the beginning of the Lease's name
	aboutAnnotation   string // for people
	entriesAnnotation string
	// about is a key for people, and tooMany why no more can be reserved.
	about   func(key string) string
	tooMany func(n int, key string) error
}

// leases reads and writes entries by key.
type leases[E reserved] struct {
	subject
	client    client.Client
	namespace string
	// turns let the requests of one replica change a Lease one after another, so that they don't have to try
	// again because of each other.
	turns []chan struct{}
	seed  maphash.Seed
}

func newLeases[E reserved](of subject, c client.Client, namespace string) leases[E] {
	l := leases[E]{subject: of, client: c, namespace: namespace, turns: make([]chan struct{}, 256), seed: maphash.MakeSeed()}
	for i := range l.turns {
		l.turns[i] = make(chan struct{}, 1)
	}
	return l
}

// errUnchanged tells change that there is nothing to write.
var errUnchanged = errors.New("nothing to change")

// maxAttempts bounds how often a change is tried that other replicas come before.
const maxAttempts = 100

// change writes what edit makes of the entries of a key that have not expired, unless somebody else changed
// them meanwhile: then it is tried again. An error of edit ends it, and nothing is written.
func (l *leases[E]) change(ctx context.Context, key string, now func() time.Time, edit func([]E) ([]E, error)) error {
	turn := l.turns[maphash.String(l.seed, key)%uint64(len(l.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fmt.Errorf("reserve %s: %w", l.what, ctx.Err())
	}
	for range maxAttempts {
		err := l.changeOnce(ctx, key, now(), edit)
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err):
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("reserve %s: %w", l.what, ctx.Err())
		case <-time.After(time.Duration(rand.IntN(10)) * time.Millisecond):
		}
	}
	return fmt.Errorf("reserve %s: other requests came first %d times; try again", l.what, maxAttempts)
}

func (l *leases[E]) changeOnce(ctx context.Context, key string, now time.Time, edit func([]E) ([]E, error)) error {
	lease := &coordinationv1.Lease{}
	err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: l.leaseName(key)}, lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("reserve %s: %w", l.what, err)
	}
	entries, err := l.readEntries(lease, now)
	if err != nil {
		return err
	}
	if entries, err = edit(entries); err != nil {
		return err
	}
	switch {
	case missing:
		lease.ObjectMeta = metav1.ObjectMeta{Namespace: l.namespace, Name: l.leaseName(key), Labels: map[string]string{label: l.what}}
		if err = l.writeEntries(lease, key, entries, now); err == nil {
			err = l.client.Create(ctx, lease)
		}
	case len(entries) == 0:
		err = client.IgnoreNotFound(l.client.Delete(ctx, lease, unchangedSince(lease)))
	default:
		if err = l.writeEntries(lease, key, entries, now); err == nil {
			err = l.client.Update(ctx, lease) // with its resourceVersion
		}
	}
	if apierrors.IsNotFound(err) { // deleted meanwhile
		err = apierrors.NewConflict(coordinationv1.Resource("leases"), lease.Name, err)
	}
	if err != nil {
		return fmt.Errorf("reserve %s: %w", l.what, err)
	}
	return nil
}

func unchangedSince(lease *coordinationv1.Lease) client.Preconditions {
	return client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}
}

// read returns the entries of a key that have not expired.
func (l *leases[E]) read(ctx context.Context, key string, now time.Time) ([]E, error) {
	lease := &coordinationv1.Lease{}
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: l.leaseName(key)}, lease); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return l.readEntries(lease, now)
}

// all returns all entries that have not expired.
func (l *leases[E]) all(ctx context.Context, now time.Time) ([]E, error) {
	list := &coordinationv1.LeaseList{}
	if err := l.client.List(ctx, list, client.InNamespace(l.namespace), client.MatchingLabels{label: l.what}); err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	var out []E
	for i := range list.Items {
		entries, err := l.readEntries(&list.Items[i], now)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

func (l *leases[E]) readEntries(lease *coordinationv1.Lease, now time.Time) ([]E, error) {
	text := lease.Annotations[l.entriesAnnotation]
	if text == "" {
		return nil, nil
	}
	var entries []E
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		return nil, fmt.Errorf("the Lease %s/%s can't be read, delete it: %w", lease.Namespace, lease.Name, err)
	}
	return slices.DeleteFunc(entries, func(e E) bool { return !now.Before(e.until()) }), nil
}

func (l *leases[E]) writeEntries(lease *coordinationv1.Lease, key string, entries []E, now time.Time) error {
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("write reservations: %w", err)
	}
	if len(text) > maxEntries {
		return l.tooMany(len(entries), key)
	}
	last := slices.MaxFunc(entries, func(a, b E) int { return a.until().Compare(b.until()) })
	seconds := int32(last.until().Sub(now)/time.Second) + 1
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[l.entriesAnnotation] = string(text)
	lease.Annotations[l.aboutAnnotation] = l.about(key)
	holder := last.holder()
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: now}}
	return nil
}

func (l *leases[E]) leaseName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "sluice-" + l.what + "-" + hex.EncodeToString(sum[:16])
}
