package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/report"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// exampleDoc is an example as a reader sees it.
type exampleDoc struct {
	shows  engine.Showing
	title  string
	before string // YAML of the object
	said   string // the findings, as kubectl shows them
	after  string // YAML of the patched object, or of what is generated
}

// newExampleDoc completes what a test leaves out of an object: its kind and its name.
func newExampleDoc(ctx context.Context, library *engine.Library, rule *engine.Rule, e engine.Example) (exampleDoc, error) {
	out := exampleDoc{shows: e.Shows, title: e.Title}
	object, err := complete(e.Subject(), rule)
	if err != nil {
		return out, err
	}
	if out.before, err = yamlOf(object); err != nil {
		return out, err
	}
	var results []report.Result
	for action, findings := range map[string][]engine.Finding{report.ActionDeny: e.Outcome.Deny, report.ActionWarn: e.Outcome.Warn} {
		for _, f := range findings {
			results = append(results, report.Result{Policy: rule.ID, Action: action, Message: f.Message, Field: f.Field, Fix: f.Fix})
		}
	}
	out.said = report.Message(results...)
	switch e.Shows {
	case engine.ShowsPatched:
		if object, err = patch(ctx, library, rule, object, e.Parameters); err == nil {
			out.after, err = yamlOf(object)
		}
	case engine.ShowsGenerated:
		out.after, err = yamlOf(e.Outcome.Generate...)
	}
	return out, err
}

// complete names the kind and the object, so that the YAML can be tried out.
func complete(object engine.Document, rule *engine.Rule) (engine.Document, error) {
	kind := rule.Kinds[0]
	apiVersion := kind.Group + "/v1"
	if kind.Group == "" {
		apiVersion = "v1"
	}
	metadata := object.Get("metadata")
	for _, missing := range []struct {
		in         *engine.Document
		key, value string
	}{{&object, "apiVersion", apiVersion}, {&object, "kind", kind.Kind}, {&metadata, "name", "example"}} {
		if missing.in.Get(missing.key).Exists() {
			continue
		}
		value, err := engine.FromGo(missing.value)
		if err != nil {
			return object, err
		}
		*missing.in = missing.in.With(missing.key, value)
	}
	return object.With("metadata", metadata), nil
}

// patch is the object with the patches of the rule, applied as the gate applies them.
func patch(ctx context.Context, library *engine.Library, rule *engine.Rule, object, parameters engine.Document) (engine.Document, error) {
	policy := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: rule.ID}, Spec: v1alpha1.GatePolicySpec{Rule: rule.ID}}
	if parameters.Exists() {
		raw, err := json.Marshal(parameters)
		if err != nil {
			return object, err
		}
		policy.Spec.Parameters = &runtime.RawExtension{Raw: raw}
	}
	nobody := state.NewFiles()
	gate, err := policies.NewGate(policies.Options{Library: library, Policies: []v1alpha1.GatePolicy{policy}, State: nobody, Namespaces: nobody})
	if err != nil {
		return object, err
	}
	request, err := policies.Compose(engine.Create, object, engine.Document{})
	if err != nil {
		return object, err
	}
	decision := gate.Mutate(ctx, request)
	if len(decision.Findings) > 0 {
		return object, fmt.Errorf("the example can't be patched: %s", decision.Findings[0].Message)
	}
	patched, err := request.Patched(decision.Patches)
	if err == nil && len(decision.Patches) == 0 {
		err = fmt.Errorf("the example is patched in the test, and not outside of it")
	}
	return patched.Object, err
}

// yamlOf is a stream of documents.
func yamlOf(objects ...engine.Document) (string, error) {
	var out []string
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return "", err
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			return "", err
		}
		out = append(out, string(text))
	}
	return strings.Join(out, "---\n"), nil
}

func (e exampleDoc) markdown(w io.Writer) {
	head := map[engine.Showing]string{engine.ShowsRefused: "Refused", engine.ShowsAdmitted: "Admitted",
		engine.ShowsPatched: "Before", engine.ShowsGenerated: "Because of this object"}[e.shows]
	if e.title != "" {
		head += ", " + strings.TrimSuffix(e.title, ".")
	}
	fmt.Fprintf(w, "\n%s:\n\n", head)
	fenced(w, "yaml", e.before)
	if e.said != "" {
		fmt.Fprintln(w)
		fenced(w, "text", e.said+"\n")
	}
	switch e.shows {
	case engine.ShowsPatched:
		fmt.Fprint(w, "\nAfter:\n\n")
		fenced(w, "yaml", e.after)
	case engine.ShowsGenerated:
		fmt.Fprint(w, "\nthere will be:\n\n")
		fenced(w, "yaml", e.after)
	}
}

// fenced prints a block whose fence is longer than any in it.
func fenced(w io.Writer, language, text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(w, "%s%s\n%s%s\n", fence, language, text, fence)
}
