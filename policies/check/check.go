// Package check judges manifests as an API server with Sluice would: defaults, then patches, then rules, one
// object after another. What it finds has the place in the file.
package check

import (
	"context"
	"fmt"
	"io"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

// Options say what is judged, and by what.
type Options struct {
	Policies *profile.Set
	// Paths are files, folders and "-" for Stdin, as in manifest.Paths. Their objects are judged in order,
	// and each exists for those that follow. Namespaces that are created come first, wherever they stand, each with
	// what is generated in it: in an API server, too, they exist before whatever is in them.
	Paths []string
	Stdin io.Reader
	// State are paths of objects that already exist.
	State []string
	// Old are paths of objects as they are before an update, by kind, namespace and name. They exist too.
	Old []string
	// Operation is what happens to every object. Empty is UPDATE for objects that Old or State hold, and CREATE
	// for the others.
	Operation engine.Operation
	// Namespace is for objects that name none; empty is default.
	Namespace string
	// Strict makes an error of whatever no policy judges.
	Strict bool
	// ToolVersion is for formats that name the tool.
	ToolVersion string
	// Progress, if given, is called after each object.
	Progress func(done, total int)
}

// FailOn is the weakest action that fails a check.
type FailOn string

// The values of FailOn.
const (
	FailOnDeny FailOn = report.ActionDeny
	FailOnWarn FailOn = report.ActionWarn
)

// Exit codes of every command.
const (
	ExitClean    = 0
	ExitFindings = 1 // judged, and not fine
	ExitUnjudged = 2 // could not judge
)

// ExitCode is what a check with these results exits with: what could not be judged outweighs what was.
func ExitCode(r report.Report, failOn FailOn) int {
	switch {
	case r.Summary.Errors > 0:
		return ExitUnjudged
	case r.Summary.Denied > 0, r.Summary.Warned > 0 && failOn == FailOnWarn:
		return ExitFindings
	}
	return ExitClean
}

// Run judges. Bad input is a result with the action error; the error is for policies that don't compile and
// for a context that ended.
func Run(ctx context.Context, o Options) (report.Report, error) {
	s, err := newSession(o)
	if err != nil {
		return report.Report{}, err
	}
	inputs := s.inputs()
	total, done := inputs.objects(), 0
	err = s.each(ctx, inputs, func(object *manifest.Object) {
		s.judge(ctx, object)
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	})
	if err != nil {
		return report.Report{}, fmt.Errorf("check %w", err)
	}
	return s.finish(), nil
}

// judge takes one object through the gate, and tells if it is also generated.
func (s *session) judge(ctx context.Context, object *manifest.Object) {
	defer s.collision(object)
	sub, ok := s.prepare(ctx, object)
	if !ok {
		return
	}
	decision := s.gate.Review(ctx, sub.request)
	if decision.Exempt != "" {
		s.skip(object, decision.Exempt, false)
		s.settle(sub)
		return
	}
	s.judged(sub)
	if !decision.Judged || decision.Failure != "" {
		s.findings(sub, policies.Finding{Failed: true, Message: "could not judge: " + decision.Failure})
	}
	s.findings(sub, decision.Findings...)
	s.settle(sub)
	if s.begins(sub) {
		s.generate(ctx, sub)
	}
}
