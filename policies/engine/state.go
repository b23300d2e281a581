package engine

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// State answers what exists beside the request. An error, such as a kind that isn't synced yet, becomes
// the error of the policy that asked.
type State interface {
	// Get finds one object. Namespace is empty for cluster-scoped kinds.
	Get(kind schema.GroupKind, namespace, name string) (Document, bool, error)
	// List finds the objects of a kind in one namespace, sorted by name.
	List(kind schema.GroupKind, namespace string) ([]Document, error)
}

type stateKey struct{}

func withState(ctx context.Context, state State) context.Context {
	return context.WithValue(ctx, stateKey{}, state)
}

var errNoState = errors.New("there is no state to ask: name other objects with --state, or run in a cluster")

func stateFrom(ctx context.Context) (State, error) {
	state, _ := ctx.Value(stateKey{}).(State)
	if state == nil {
		return nil, errNoState
	}
	return state, nil
}
