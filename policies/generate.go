package policies

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Generated is an object that has to exist because the request's object exists.
type Generated struct {
	Policy string
	Object engine.Document
}

// Generate asks all matching policies what has to exist beside the request's object. A policy that fails, or
// names an object that it must not, is a finding. With action Warn or Audit a policy only reports what it
// would generate.
func (g *Gate) Generate(ctx context.Context, r Request) ([]Generated, []Finding) {
	if g.exemption(r) != "" || r.Operation == engine.Delete {
		return nil, nil
	}
	namespace := &namespaceLookup{source: g.namespaces}
	active, findings := g.candidates(ctx, r, namespace, engine.Generate)
	active = slices.DeleteFunc(active, func(i int) bool { return g.policies[i].match.leaves(r) }) // nothing is made for what goes
	var out []Generated
	for _, outcome := range g.program.Evaluate(ctx, g.input(r, namespace), active, engine.Generate) {
		p := &g.policies[outcome.Policy]
		if outcome.Err != nil {
			findings = append(findings, p.failure(r, outcome.Err))
			continue
		}
		for _, object := range outcome.Generate {
			switch err := p.checkGenerated(r, object); {
			case err != nil:
				findings = append(findings, p.failure(r, err))
			case p.action != v1alpha1.ActionDeny:
				findings = append(findings, p.finding(r, p.effect(), engine.Finding{Message: "would generate " + describe(object)}))
			default:
				out = append(out, Generated{p.name, object})
			}
		}
	}
	sortFindings(findings)
	return out, findings
}

// checkGenerated keeps generate within the rule's METADATA: the kinds it names, in the trigger's namespace.
func (p *policy) checkGenerated(r Request, object engine.Document) error {
	gv, err := schema.ParseGroupVersion(object.Get("apiVersion").Text())
	kind := schema.GroupKind{Group: gv.Group, Kind: object.Get("kind").Text()}
	home := r.Namespace
	if r.isNamespace() {
		home = r.Subject().Get("metadata", "name").Text()
	}
	namespace := object.Get("metadata", "namespace").Text()
	switch {
	case err != nil || gv.Version == "":
		return fmt.Errorf("generated object has apiVersion %q", object.Get("apiVersion").Text())
	case !slices.Contains(p.rule.Generates, kind):
		return fmt.Errorf("generated %s: the rule's METADATA does not name the kind under custom.generates", describe(object))
	case object.Get("metadata", "name").Text() == "":
		return fmt.Errorf("generated %s has no metadata.name", describe(object))
	case namespace != "" && namespace != home:
		return fmt.Errorf("generated %s: only namespace %q is the trigger's own", describe(object), home)
	}
	return nil
}

func describe(object engine.Document) string {
	text := object.Get("kind").Text() + " "
	if namespace := object.Get("metadata", "namespace").Text(); namespace != "" {
		text += namespace + "/"
	}
	return text + object.Get("metadata", "name").Text()
}
