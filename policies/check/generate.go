package check

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

// Generate is what generate policies would produce for the objects of the files, in their order, each in its
// namespace. The report has what went wrong.
func Generate(ctx context.Context, o Options) ([]policies.Generated, report.Report, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, report.Report{}, err
	}
	inputs, made := s.inputs(), map[*manifest.Object][]policies.Generated{}
	err = s.each(ctx, inputs, func(object *manifest.Object) {
		if sub, ok := s.prepare(ctx, object); ok {
			s.judged(sub)
			s.settle(sub)
			made[object] = s.generate(ctx, sub)
		}
	})
	if err != nil {
		return nil, report.Report{}, fmt.Errorf("generate for %w", err)
	}
	var out []policies.Generated
	for _, in := range inputs {
		for _, object := range in.file.Objects {
			out = append(out, made[object]...)
		}
	}
	return out, s.finish(), nil
}

// generate asks for what has to exist beside an object, and makes it exist, unless it is there already. What is
// returned is as the rule wrote it, in its namespace.
func (s *session) generate(ctx context.Context, sub subject) []policies.Generated {
	generated, findings := s.gate.Generate(ctx, sub.request)
	s.findings(sub, findings...)
	var out []policies.Generated
	for _, g := range generated {
		written, stored, err := Placed(g.Object, sub.request.Namespace)
		if err != nil {
			s.findings(sub, policies.Finding{Policy: g.Policy, Failed: true,
				Message: "could not judge: the generated object is not valid: " + err.Error()})
			continue
		}
		made := policies.Generated{Policy: g.Policy, Object: written}
		if id := identityOf(stored); !s.existing[id] {
			s.state.Put(stored)
			s.generated[id] = made
		}
		out = append(out, made)
	}
	return out
}

// Placed puts a generated object into a namespace, unless its kind has none, and decodes it as the API server would.
func Placed(object engine.Document, namespace string) (written, stored engine.Document, err error) {
	text, err := json.Marshal(object)
	if err != nil {
		return written, stored, err
	}
	file := manifest.Read("generated", text)
	switch {
	case len(file.Problems) > 0:
		return written, stored, file.Problems[0]
	case len(file.Objects) != 1:
		return written, stored, fmt.Errorf("expected one object, found %d", len(file.Objects))
	}
	decoded, problems := manifest.Decode(file.Objects[0], manifest.Options{Namespace: namespace})
	if len(problems) > 0 {
		return written, stored, problems[0]
	}
	written = object
	if decoded.Namespace != "" {
		home, err := engine.FromGo(decoded.Namespace)
		if err != nil {
			return written, stored, err
		}
		written = object.With("metadata", object.Get("metadata").With("namespace", home))
	}
	stored, err = engine.ParseJSON(decoded.JSON)
	return written, stored, err
}

// collision tells that an object of the input is also generated, and that the two differ. The input's is judged as a
// change of the generated one, but in a cluster the generator puts its own in place again.
func (s *session) collision(object *manifest.Object) {
	id := identity{groupKind(object), s.home(object), object.Name}
	made, generated := s.generated[id]
	if !generated {
		return
	}
	stored, found, err := s.state.Get(id.kind, id.namespace, id.name)
	if err != nil || !found {
		return // it is neither there nor in the way
	}
	_, fields, err := Applied(stored, made.Object)
	if err != nil || len(fields) == 0 {
		return // what can't be compared has been refused already
	}
	s.findings(subject{object: object, namespace: id.namespace}, policies.Finding{
		Policy: made.Policy, Effect: policies.EffectWarn, Field: "metadata.name",
		Message: "the policy generates an object of this name, and puts its own " + strings.Join(fields, ", ") + " in place of these",
		Fix:     "give this object another name, or leave it out",
	})
}

// home is the namespace of an object of a kind that has namespaces.
func (s *session) home(object *manifest.Object) string {
	return cmp.Or(object.Namespace, s.options.Namespace, metav1.NamespaceDefault)
}
