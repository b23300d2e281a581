// Package dryrun says what generate policies would do to a cluster that lives: which objects they would make in the
// namespaces that exist, and which traffic of which pods these would close.
package dryrun

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
	"github.com/sluice-gate/sluice/policies/state"
)

// Options say what the cluster holds, and by what is generated.
type Options struct {
	Policies *profile.Set
	// Paths are files, folders and "-" for Stdin, as in manifest.Paths: the Namespaces to generate for, and what is in
	// them. Of Pods, labels and hostNetwork are read.
	Paths []string
	Stdin io.Reader
	// State are paths of further objects that exist. Of an object in both, that of Paths counts.
	State []string
	// Namespace is for objects that name none; empty is default.
	Namespace string
	// Progress, if given, is called after each namespace.
	Progress func(done, total int)
}

// ExitCode is what a dry run exits with: 1 if traffic is closed, and 2 if something could not be judged.
func ExitCode(d report.DryRun) int {
	switch {
	case d.Summary.Errors > 0 || d.Summary.Unjudged > 0:
		return check.ExitUnjudged
	case d.Summary.Closed > 0:
		return check.ExitFindings
	}
	return check.ExitClean
}

// evaluationTime bounds one policy on one namespace, as for a check.
const evaluationTime = 5 * time.Second

// Run generates for each namespace as if it were created now, and compares the NetworkPolicies that it has with those
// that it would have. What can't be read is among the errors, and then nothing is compared: a policy that nobody read
// would look as if traffic were open. A policy that fails is an error, and its namespace is left out. The error is for
// policies that don't compile and for a context that ended.
func Run(ctx context.Context, o Options) (report.DryRun, error) {
	objects := state.NewFiles()
	budget := engine.DefaultBudget()
	budget.Time = evaluationTime
	gate, err := o.Policies.Gate(policies.Options{State: objects, Namespaces: objects, Budget: budget})
	if err != nil {
		return report.DryRun{}, err
	}
	c := readCluster(o, gate, objects)
	r := &run{cluster: c, gate: gate}
	for _, p := range c.problems {
		r.found.Errors = append(r.found.Errors, report.Result{
			File: p.File, Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message, Action: report.ActionError,
		})
	}
	names := slices.Sorted(maps.Keys(c.namespaces))
	r.found.Summary.Namespaces = len(names)
	if len(c.problems) == 0 {
		for i, name := range names {
			if err := ctx.Err(); err != nil {
				return report.DryRun{}, fmt.Errorf("dry run in namespace %s: %w", name, err)
			}
			r.namespace(ctx, name)
			if o.Progress != nil {
				o.Progress(i+1, len(names))
			}
		}
	}
	return r.finish(), nil
}

// run is one dry run.
type run struct {
	cluster *cluster
	gate    *policies.Gate
	found   report.DryRun
}

// namespace generates for one namespace.
func (r *run) namespace(ctx context.Context, name string) {
	p := r.plan(ctx, name)
	switch {
	case len(p.errors) > 0:
		r.found.Errors = append(r.found.Errors, p.errors...)
		return
	case p.nothing != "":
		r.found.Nothing = append(r.found.Nothing, report.NothingGenerated{Namespace: name, Reason: p.nothing})
		return
	}
	n := report.PlannedNamespace{Namespace: name, Objects: p.objects, Reported: p.reported}
	affected, err := r.cluster.traffic(name, p.networkPolicies, &n)
	if err != nil {
		r.found.Errors = append(r.found.Errors, failure(name, "", err.Error()))
		return
	}
	r.found.Summary.PodsClosed += affected
	r.found.Namespaces = append(r.found.Namespaces, n)
}

// failure is what could not be judged of a namespace.
func failure(namespace, policy, message string) report.Result {
	return report.Result{
		APIVersion: "v1", Kind: "Namespace", Name: namespace, Policy: policy, Action: report.ActionError, Message: message,
	}
}

func (r *run) finish() report.DryRun {
	d, s := r.found, &r.found.Summary
	for _, n := range d.Namespaces {
		s.Closed += len(n.Closes)
		s.Opened += len(n.Opens)
		for _, o := range n.Objects {
			switch o.Change {
			case report.ChangeNew:
				s.New++
			case report.ChangeMade:
				s.Changed++
			default:
				s.Same++
			}
			if o.Unjudged {
				s.Unjudged++
			}
		}
	}
	for name := range r.cluster.namespaces {
		s.Pods += len(r.cluster.pods[name])
	}
	s.Nothing, s.Errors = len(d.Nothing), len(d.Errors)
	for what, count := range r.cluster.skipped {
		d.SkippedKinds = append(d.SkippedKinds, report.SkippedKind{What: what, Count: count})
		s.Skipped += count
	}
	slices.SortFunc(d.SkippedKinds, func(a, b report.SkippedKind) int { return cmp.Compare(a.What, b.What) })
	d.Summary = *s
	return d
}
