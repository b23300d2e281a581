package serve

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// observers are told of reviews. They end after the last review, hence not with the manager's other parts.
type observers struct {
	decisions *decisionlog.Log // nil if there is none
	tracing   *tracing         // nil if there is none
}

func newObservers(ctx context.Context, o Options) (*observers, error) {
	var made observers
	var err error
	if o.TracingEndpoint != "" {
		if made.tracing, err = newTracing(ctx, o); err != nil {
			return nil, err
		}
	}
	if o.DecisionLog.Output != "" {
		o.DecisionLog.Registerer, o.DecisionLog.Log = o.Registerer, o.Log.WithName("decisions")
		if made.decisions, err = decisionlog.Open(o.DecisionLog); err != nil {
			return nil, errors.Join(err, made.close(ctx))
		}
	}
	return &made, nil
}

// tracer is nil if there is no tracing.
func (o *observers) tracer() trace.Tracer {
	if o.tracing == nil {
		return nil
	}
	return o.tracing.Tracer(tracerName)
}

// closeTime is how long what is left may take to be written.
const closeTime = 5 * time.Second

// close writes what waits; ctx may have ended.
func (o *observers) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	var errs []error
	if o.decisions != nil {
		errs = append(errs, o.decisions.Close(ctx))
	}
	if o.tracing != nil {
		o.tracing.close(ctx)
	}
	return errors.Join(errs...)
}
