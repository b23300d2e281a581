package check

import (
	"context"
	"encoding/json"
	"fmt"

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
	var out []policies.Generated
	for _, in := range readInputs(o.Paths, o.Stdin) {
		s.fileProblems(in.file)
		for _, object := range in.file.Objects {
			if err := ctx.Err(); err != nil {
				return nil, report.Report{}, fmt.Errorf("generate for %s: %w", in.file.Name, err)
			}
			if sub, ok := s.prepare(ctx, object); ok {
				s.judged(sub)
				s.settle(sub)
				out = append(out, s.generate(ctx, sub)...)
			}
		}
	}
	return out, s.finish(), nil
}

// generate asks for what has to exist beside an object, and makes it exist. What is returned is as the rule
// wrote it, in its namespace.
func (s *session) generate(ctx context.Context, sub subject) []policies.Generated {
	generated, findings := s.gate.Generate(ctx, sub.request)
	s.findings(sub, findings...)
	var out []policies.Generated
	for _, g := range generated {
		written, stored, err := placed(g.Object, sub.request.Namespace)
		if err != nil {
			s.findings(sub, policies.Finding{Policy: g.Policy, Failed: true,
				Message: "could not judge: the generated object is not valid: " + err.Error()})
			continue
		}
		s.state.Put(stored)
		out = append(out, policies.Generated{Policy: g.Policy, Object: written})
	}
	return out
}

// placed puts an object into a namespace, unless its kind has none, and decodes it as the API server would.
func placed(object engine.Document, namespace string) (written, stored engine.Document, err error) {
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
