package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// The paths on which GatePolicies and GateExceptions are vetted before they are stored.
const (
	PoliciesPath   = "/validate-gatepolicies"
	ExceptionsPath = "/validate-gateexceptions"
)

// Vetting refuses policies and exceptions that would have no effect or a wrong one, by what `sluice check --policies`
// goes by. An update that leaves the spec alone passes: labels and finalizers of a bad policy can be changed. Deletions
// are never asked about.
type Vetting struct {
	reader, live client.Reader
	options      func() policies.Options
	turns        chan struct{}
}

// maxVetting bounds the policies that are compiled for vetting at the same time: reviews need the processors too.
const maxVetting = 2

// NewVetting makes a Vetting. reader lists the policies that are there, as a watch last told; live lists them past that, before
// something is refused because of what is there or is missing: one `kubectl apply` brings policies, and exceptions from
// them a moment later. options are those of the gate in use: policies and exceptions are filled in.
func NewVetting(reader, live client.Reader, options func() policies.Options) Vetting {
	return Vetting{reader: reader, live: live, options: options, turns: make(chan struct{}, maxVetting)}
}

// Register adds the handlers to a server.
func (v Vetting) Register(server ctrlwebhook.Server, scheme *runtime.Scheme) {
	server.Register(PoliciesPath, admission.WithValidator(scheme, policyVetting{v}))
	server.Register(ExceptionsPath, admission.WithValidator(scheme, exceptionVetting{v}))
}

func (v Vetting) optionsFrom(ctx context.Context, from client.Reader) (policies.Options, error) {
	var all v1alpha1.GatePolicyList
	if err := from.List(ctx, &all); err != nil {
		return policies.Options{}, fmt.Errorf("list the policies that are there: %w", err)
	}
	o := v.options()
	o.Policies = all.Items
	return o, nil
}

type policyVetting struct{ Vetting }

func (v policyVetting) ValidateCreate(ctx context.Context, policy *v1alpha1.GatePolicy) (admission.Warnings, error) {
	select {
	case v.turns <- struct{}{}:
		defer func() { <-v.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("other policies were vetted until the request's deadline, try again: %w", ctx.Err())
	}
	o, err := v.optionsFrom(ctx, v.reader)
	if err != nil {
		return nil, err
	}
	refused := policies.VetPolicy(ctx, o, *policy)
	if collision := new(policies.Collision); errors.As(refused, &collision) {
		if o, err = v.optionsFrom(ctx, v.live); err != nil {
			return nil, err
		}
		refused = policies.VetPolicy(ctx, o, *policy)
	}
	return nil, refusal(refused)
}

func (v policyVetting) ValidateUpdate(ctx context.Context, before, policy *v1alpha1.GatePolicy) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(before.Spec, policy.Spec) {
		return nil, nil
	}
	return v.ValidateCreate(ctx, policy)
}

func (policyVetting) ValidateDelete(context.Context, *v1alpha1.GatePolicy) (admission.Warnings, error) {
	return nil, nil
}

type exceptionVetting struct{ Vetting }

func (v exceptionVetting) ValidateCreate(ctx context.Context, exception *v1alpha1.GateException) (admission.Warnings, error) {
	o, err := v.optionsFrom(ctx, v.reader)
	if err != nil {
		return nil, err
	}
	warning, err := policies.VetException(o, *exception)
	if err != nil {
		if o, err = v.optionsFrom(ctx, v.live); err != nil {
			return nil, err
		}
		warning, err = policies.VetException(o, *exception)
	}
	if warning == "" {
		return nil, refusal(err)
	}
	return admission.Warnings{warning}, refusal(err)
}

func (v exceptionVetting) ValidateUpdate(ctx context.Context, before, exception *v1alpha1.GateException) (admission.Warnings, error) {
	if equality.Semantic.DeepEqual(before.Spec, exception.Spec) {
		return nil, nil
	}
	return v.ValidateCreate(ctx, exception)
}

func (exceptionVetting) ValidateDelete(context.Context, *v1alpha1.GateException) (admission.Warnings, error) {
	return nil, nil
}

// refusal is an error as kubectl shows it: what needs several lines begins on one of its own.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	text := engine.Detail(err)
	if strings.Contains(text, "\n") {
		text = "\n" + text
	}
	return errors.New(text)
}
