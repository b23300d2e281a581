package corpus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
)

// Options say which cases are run against which policies.
type Options struct {
	// Paths are case files, and folders of them.
	Paths    []string
	Policies *profile.Set
	// Progress, if given, is called after each case.
	Progress func(done, total int)
}

// Status says how a case went.
type Status string

// The statuses.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is one case that was run.
type Result struct {
	Case     Case
	Status   Status
	Got      string // the strongest outcome; unjudged if there is none
	Findings []policies.Finding
	// Reason is why the case failed, or was skipped.
	Reason string
}

// unjudged is the outcome of a case without a decision.
const unjudged = "could not judge"

// evaluationTime is generous: a busy machine must not fail a case. Steps bound what runs away.
const evaluationTime = 5 * time.Second

// Run runs cases in the order of their files. The problems are case files that can't be run; they don't keep
// the others from being run. The error is for policies that don't compile and for a context that ended.
func Run(ctx context.Context, o Options) ([]Result, []manifest.Problem, error) {
	cases, problems := read(o.Paths)
	budget := engine.DefaultBudget()
	budget.Time = evaluationTime
	scene := &scene{}
	options := policies.Options{State: scene, Namespaces: scene, Budget: budget}
	common, err := o.Policies.Gate(options)
	if err != nil {
		return nil, problems, err
	}
	var results []Result
	for i, c := range cases {
		if err := ctx.Err(); err != nil {
			return nil, problems, fmt.Errorf("case %s: %w", c.ID, err)
		}
		scene.set(c)
		result := Result{Case: c, Status: Failed, Got: unjudged}
		gate, err := o.gate(common, c, options)
		if err == nil {
			c.Request, err = scene.admitted(c)
		}
		if err != nil {
			result.Reason = err.Error()
		} else {
			result = judge(ctx, gate, c)
		}
		results = append(results, result)
		if o.Progress != nil {
			o.Progress(i+1, len(cases))
		}
	}
	return results, problems, nil
}

// gate is the gate of a case: the common one unless it has policies of its own.
func (o Options) gate(common *policies.Gate, c Case, options policies.Options) (*policies.Gate, error) {
	if len(c.Policies) == 0 {
		return common, nil
	}
	return o.Policies.With(c.Policies).Gate(options)
}

func read(paths []string) ([]Case, []manifest.Problem) {
	sources, problems := manifest.Paths(paths, nil)
	var cases []Case
	files := map[string]string{}
	for _, s := range sources {
		found, bad := ReadCases(s.Name, s.Data)
		problems = append(problems, bad...)
		if len(found)+len(bad) == 0 {
			problems = append(problems, manifest.Problem{File: s.Name, Message: "there is no case in it"})
		}
		for _, c := range found {
			if other, taken := files[c.ID]; taken {
				problems = append(problems, manifest.Problem{File: c.File, Line: 1, Column: 1, Field: "id",
					Message: fmt.Sprintf("%s is already the id of a case in %s", c.ID, other)})
				continue
			}
			files[c.ID] = c.File
			cases = append(cases, c)
		}
	}
	return cases, problems
}

// scene is the state of the case that is being run. A gate keeps its state for life, so that the scene
// changes under it; cases are run one by one.
type scene struct{ state.Files }

// set sets the scene of a case. The request's namespace exists even if the case doesn't tell its labels: then
// it has those that every namespace has.
func (s *scene) set(c Case) {
	s.Files = state.NewFiles()
	if home := c.Request.Namespace; home != "" {
		s.Put(bareNamespace(home))
	}
	for _, object := range c.State {
		s.Put(object)
	}
}

// admitted is the request of a case as the API server hands it to a webhook. It gives a new Ingress without class the
// default one of the scene, and lets a Service keep what it was allocated.
func (s *scene) admitted(c Case) (policies.Request, error) {
	object, err := c.Request.Object, error(nil)
	switch operation := c.Request.Operation; {
	case c.Raw && operation == engine.Create:
		object, err = check.WithDefaultClass(object, s.Files)
	case c.Raw && operation == engine.Update:
		object, err = check.WithAllocated(object, c.Request.OldObject)
	default:
		return c.Request, nil
	}
	if err != nil {
		return c.Request, err
	}
	return policies.Compose(c.Request.Operation, object, c.Request.OldObject)
}

func bareNamespace(name string) engine.Document {
	document, err := engine.FromGo(map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"kubernetes.io/metadata.name": name}},
	})
	if err != nil { // strings in maps can always be encoded
		return engine.Document{}
	}
	return document
}

// judge runs a case as sluice check would: patches, then rules.
func judge(ctx context.Context, gate *policies.Gate, c Case) Result {
	r := Result{Case: c}
	if c.Expect != Allow {
		if missing := missingRules(gate, c.About); len(missing) > 0 {
			r.Status, r.Reason = Skipped, "the profile has no "+strings.Join(missing, ", ")
			return r
		}
	}
	patched := gate.Mutate(ctx, c.Request)
	request, err := c.Request.Patched(patched.Patches)
	if err != nil {
		r.Status, r.Got, r.Reason = Failed, unjudged, err.Error()
		return r
	}
	decision := gate.Review(ctx, request)
	r.Findings = append(patched.Findings, decision.Findings...)
	r.Got, err = outcome(decision, r.Findings)
	if err == nil {
		err = c.compare(r.Got, r.Findings)
	}
	if r.Status = Passed; err != nil {
		r.Status, r.Reason = Failed, err.Error()
	}
	return r
}

func missingRules(gate *policies.Gate, rules []string) []string {
	return slices.DeleteFunc(slices.Clone(rules), func(rule string) bool {
		return slices.ContainsFunc(gate.Policies(), func(p policies.PolicyInfo) bool { return p.Name == rule || p.Rule.ID == rule })
	})
}

// outcome is the strongest outcome of all findings. A policy that could not be evaluated leaves none.
func outcome(decision policies.Decision, findings []policies.Finding) (string, error) {
	got := Allow
	for _, f := range findings {
		switch {
		case f.Failed && f.Excused == "":
			return unjudged, fmt.Errorf("%s could not be evaluated", f.Policy)
		case f.Effect == policies.EffectAudit:
		case f.Effect != policies.EffectWarn:
			got = Deny
		case got == Allow:
			got = Warn
		}
	}
	if !decision.Judged || decision.Failure != "" {
		return unjudged, errors.New("no decision was reached: " + decision.Failure)
	}
	return got, nil
}

// compare is an error if the outcome isn't what the case expects.
func (c Case) compare(got string, findings []policies.Finding) error {
	if got != c.Expect {
		return errors.New("another outcome")
	}
	for _, rule := range c.About {
		said := slices.ContainsFunc(findings, func(f policies.Finding) bool {
			return (f.Policy == rule || f.Rule == rule) && (c.Expect == Allow || string(f.Effect) == c.Expect)
		})
		switch {
		case said && c.Expect == Allow:
			return fmt.Errorf("%s must not report anything", rule)
		case !said && c.Expect != Allow:
			return fmt.Errorf("%s has to report it", rule)
		}
	}
	return nil
}
