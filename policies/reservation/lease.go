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

// What a Lease of reservations looks like.
const (
	namePrefix        = "sluice-hosts-"
	label             = "policy.sluice.dev/reservation"
	labelValue        = "hosts"
	domainAnnotation  = "policy.sluice.dev/domain" // for people
	entriesAnnotation = "policy.sluice.dev/hosts"
	// maxEntries bounds what a Lease holds, in bytes, and maxShare what it holds for one namespace: the owners of a
	// namespace must not keep all others from a domain. An API server takes 256 KiB of annotations.
	maxEntries = 200 << 10
	maxShare   = maxEntries / 4
)

// leases reads and writes entries by key.
type leases struct {
	client    client.Client
	namespace string
	// turns let the requests of one replica change a Lease one after another, so that they don't have to try
	// again because of each other.
	turns []chan struct{}
	seed  maphash.Seed
}

func newLeases(c client.Client, namespace string) leases {
	l := leases{client: c, namespace: namespace, turns: make([]chan struct{}, 256), seed: maphash.MakeSeed()}
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
func (l *leases) change(ctx context.Context, key string, now func() time.Time, edit func([]entry) ([]entry, error)) error {
	turn := l.turns[maphash.String(l.seed, key)%uint64(len(l.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fmt.Errorf("reserve hosts: %w", ctx.Err())
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
			return fmt.Errorf("reserve hosts: %w", ctx.Err())
		case <-time.After(time.Duration(rand.IntN(10)) * time.Millisecond):
		}
	}
	return fmt.Errorf("reserve hosts: other requests came first %d times; try again", maxAttempts)
}

func (l *leases) changeOnce(ctx context.Context, key string, now time.Time, edit func([]entry) ([]entry, error)) error {
	lease := &coordinationv1.Lease{}
	err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: leaseName(key)}, lease)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return fmt.Errorf("reserve hosts: %w", err)
	}
	entries, err := readEntries(lease, now)
	if err != nil {
		return err
	}
	if entries, err = edit(entries); err != nil {
		return err
	}
	switch {
	case missing:
		lease.ObjectMeta = metav1.ObjectMeta{Namespace: l.namespace, Name: leaseName(key), Labels: map[string]string{label: labelValue}}
		if err = writeEntries(lease, key, entries, now); err == nil {
			err = l.client.Create(ctx, lease)
		}
	case len(entries) == 0:
		err = client.IgnoreNotFound(l.client.Delete(ctx, lease, unchangedSince(lease)))
	default:
		if err = writeEntries(lease, key, entries, now); err == nil {
			err = l.client.Update(ctx, lease) // with its resourceVersion
		}
	}
	if apierrors.IsNotFound(err) { // deleted meanwhile
		err = apierrors.NewConflict(coordinationv1.Resource("leases"), lease.Name, err)
	}
	if err != nil {
		return fmt.Errorf("reserve hosts: %w", err)
	}
	return nil
}

func unchangedSince(lease *coordinationv1.Lease) client.Preconditions {
	return client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}
}

// read returns the entries of a key that have not expired.
func (l *leases) read(ctx context.Context, key string, now time.Time) ([]entry, error) {
	lease := &coordinationv1.Lease{}
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: leaseName(key)}, lease); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return readEntries(lease, now)
}

// all returns all entries that have not expired.
func (l *leases) all(ctx context.Context, now time.Time) ([]entry, error) {
	list := &coordinationv1.LeaseList{}
	if err := l.client.List(ctx, list, client.InNamespace(l.namespace), client.MatchingLabels{label: labelValue}); err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	var out []entry
	for i := range list.Items {
		entries, err := readEntries(&list.Items[i], now)
		if err != nil {
			return nil, err
		}
		out = append(out, entries...)
	}
	return out, nil
}

func readEntries(lease *coordinationv1.Lease, now time.Time) ([]entry, error) {
	text := lease.Annotations[entriesAnnotation]
	if text == "" {
		return nil, nil
	}
	var entries []entry
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		return nil, fmt.Errorf("the Lease %s/%s can't be read, delete it: %w", lease.Namespace, lease.Name, err)
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return !now.Before(e.Expires) }), nil
}

func writeEntries(lease *coordinationv1.Lease, key string, entries []entry, now time.Time) error {
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("write reservations: %w", err)
	}
	if len(text) > maxEntries {
		return fmt.Errorf("%d Ingresses were admitted below %s within a few minutes, more than can be reserved: try again later", len(entries), domainName(key))
	}
	last := slices.MaxFunc(entries, func(a, b entry) int { return a.Expires.Compare(b.Expires) })
	seconds := int32(last.Expires.Sub(now)/time.Second) + 1
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[entriesAnnotation] = string(text)
	lease.Annotations[domainAnnotation] = domainName(key)
	holder := last.Namespace + "/" + last.Name
	lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: now}}
	return nil
}

func domainName(key string) string {
	if key == wideKey {
		return "every domain"
	}
	return "." + key
}

func leaseName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return namePrefix + hex.EncodeToString(sum[:16])
}
