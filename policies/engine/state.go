package engine

import (
	"context"
	"errors"

	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
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

// asking is what the functions of one evaluation share.
type asking struct {
	state State
	// results are those of calls, by askedKey, and what facts read of operands: what is asked twice, by several
	// policies or by a screen and the evaluator, is computed once. Without it each query has its own.
	results builtins.Cache
}

// withState lets functions ask the state.
func withState(ctx context.Context, state State) context.Context {
	return context.WithValue(ctx, stateKey{}, &asking{state: state})
}

// withResults lets functions ask the state, and keep what they find out for as long as the context is used; longer, if it
// is remembering.
func withResults(ctx context.Context, state State) context.Context {
	results, remembering := ctx.Value(resultsKey{}).(builtins.Cache)
	if !remembering {
		results = builtins.Cache{}
	}
	return context.WithValue(ctx, stateKey{}, &asking{state: state, results: results})
}

type resultsKey struct{}

// Remembering is a context for several evaluations of one request, one after another and perhaps by different states: what
// functions find out by their operands alone is computed once for all of them.
func Remembering(ctx context.Context) context.Context {
	return context.WithValue(ctx, resultsKey{}, builtins.Cache{})
}

var errNoState = errors.New("there is no state to ask: name other objects with --state, or run in a cluster")

func askingFrom(ctx context.Context) *asking {
	shared, _ := ctx.Value(stateKey{}).(*asking)
	return shared
}

func stateFrom(ctx context.Context) (State, error) {
	if shared := askingFrom(ctx); shared != nil && shared.state != nil {
		return shared.state, nil
	}
	return nil, errNoState
}

// resultsFrom are the results to look into and to add to; never nil.
func resultsFrom(bctx topdown.BuiltinContext) builtins.Cache {
	if shared := askingFrom(bctx.Context); shared != nil && shared.results != nil {
		return shared.results
	}
	if bctx.Cache != nil {
		return bctx.Cache
	}
	return builtins.Cache{}
}
