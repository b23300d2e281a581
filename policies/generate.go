package policies

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// Generated is an object that has to exist because the request's object exists.
type Generated struct {
	Policy string
	Object engine.Document
}

// Generate asks all matching policies what has to exist beside the request's object, however old that is. A policy that
// fails, or names an object that it must not, is a finding. With action Warn or Audit a policy only reports what it
// would generate.
func (g *Gate) Generate(ctx context.Context, r Request) ([]Generated, []Finding) {
	var out []Generated
	var findings []Finding
	for _, generation := range g.Generations(ctx, r) {
		p := generation.policy
		switch {
		case !generation.Matched:
		case generation.Err != nil:
			findings = append(findings, p.failure(r, generation.Err))
		case !generation.Writes:
			for _, object := range generation.Objects {
				findings = append(findings, p.finding(r, p.effect(), engine.Finding{Message: "would generate " + Describe(object)}))
			}
		default:
			for _, object := range generation.Objects {
				out = append(out, Generated{p.name, object})
			}
		}
	}
	sortFindings(findings)
	return out, findings
}

// Generation is what one policy asks for beside one object.
type Generation struct {
	Policy string
	// Matched: the policy is for the object. If not, nothing else is said.
	Matched bool
	// Older: the object is older than the policy, which leaves such objects alone unless they hold something of it already.
	Older bool
	// Writes: the objects are to exist. With action Warn or Audit a policy only says what it would generate.
	Writes bool
	Keep   v1alpha1.Generate
	// Objects have to exist.
	Objects []engine.Document
	// Err is why nobody can tell what has to exist.
	Err error

	policy *policy
}

// Generations are what all policies that may generate something for objects of the request's kind ask for, sorted by
// policy. Nothing is generated in exempt namespaces, for objects that a GateException excuses from the policy, and for what
// is deleted or goes out of the match.
func (g *Gate) Generations(ctx context.Context, r Request) []Generation {
	exempt := g.exemption(r) != "" || r.Operation == engine.Delete
	namespace := &namespaceLookup{source: g.namespaces}
	var out []Generation
	var active []int
	for _, i := range g.byKind[r.Kind.GroupKind()] {
		p := &g.policies[i]
		if !p.states(engine.Generate) {
			continue
		}
		generation := Generation{Policy: p.name, Writes: p.action == v1alpha1.ActionDeny, Keep: p.keep, Older: p.leavesAlone(r.Object), policy: p}
		if !exempt {
			generation.Matched, generation.Err = g.generatesFor(ctx, r, namespace, p)
		}
		if generation.Matched && generation.Err == nil {
			active = append(active, i)
		}
		out = append(out, generation)
	}
	for _, outcome := range g.program.Evaluate(ctx, g.input(r, namespace), active, engine.Generate) {
		at := slices.IndexFunc(out, func(generation Generation) bool { return generation.policy == &g.policies[outcome.Policy] })
		out[at].Objects, out[at].Err = outcome.Generate, outcome.Err
		for _, object := range outcome.Generate {
			if err := out[at].policy.checkGenerated(r, object); err != nil {
				out[at].Objects, out[at].Err = nil, err
				break
			}
		}
	}
	return out
}

// generatesFor tells whether a policy is for an object. An error means that nobody can tell what it generates.
func (g *Gate) generatesFor(ctx context.Context, r Request, namespace *namespaceLookup, p *policy) (bool, error) {
	if !p.match.matches(r) || p.match.leaves(r) { // nothing is made for what goes
		return false, nil
	}
	matched, err := p.match.matchesNamespace(ctx, r, namespace)
	if err == nil && matched && p.rule.ReadsNamespace {
		_, err = namespace.get(ctx, r)
	}
	if err == nil && matched {
		err = p.err
	}
	if err != nil || !matched {
		return err != nil, err
	}
	asked := []Finding{{Policy: p.name}}
	g.excuse(ctx, r, namespace, asked)
	return asked[0].Excused == "", nil
}

// leavesAlone tells whether an object is older than the policy, which leaves such objects alone. Creation times have whole
// seconds: an object of the policy's own second is new, and so is one of a file.
func (p *policy) leavesAlone(object engine.Document) bool {
	created, err := time.Parse(time.RFC3339, object.Get("metadata", "creationTimestamp").Text())
	return err == nil && !p.keep.Existing && created.Before(p.created)
}

// keeps tells whether the objects that the policy generates exist because of it.
func (p *policy) keeps() bool { return p.states(engine.Generate) && p.action == v1alpha1.ActionDeny }

// holdsPods tells whether pods wait for what the policy generates for their namespace.
func (p *policy) holdsPods() bool { return p.keeps() && p.keep.HoldPods }

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
		return fmt.Errorf("generated %s: the rule's METADATA does not name the kind under custom.generates", Describe(object))
	case object.Get("metadata", "name").Text() == "":
		return fmt.Errorf("generated %s has no metadata.name", Describe(object))
	case namespace != "" && namespace != home:
		return fmt.Errorf("generated %s: only namespace %q is the trigger's own", Describe(object), home)
	}
	return nil
}

// Describe names an object, such as NetworkPolicy shop/web.
func Describe(object engine.Document) string {
	text := object.Get("kind").Text() + " "
	if namespace := object.Get("metadata", "namespace").Text(); namespace != "" {
		text += namespace + "/"
	}
	return text + object.Get("metadata", "name").Text()
}

// Trigger names an object because of which others are generated.
type Trigger struct {
	Kind            schema.GroupKind
	Namespace, Name string
}

// String is such as Namespace/shop or networking.k8s.io/Ingress/shop/web.
func (t Trigger) String() string {
	text := engine.FormatGroupKind(t.Kind) + "/"
	if t.Namespace != "" {
		text += t.Namespace + "/"
	}
	return text + t.Name
}

// triggerForm is group/Kind or Kind, the namespace if it has one, and the name.
var triggerForm = regexp.MustCompile(`^((?:[a-z0-9.-]+/)?[A-Z][A-Za-z0-9]*)/(?:([^/]+)/)?([^/]+)$`)

// ParseTrigger is the reverse of Trigger.String; false for anything else.
func ParseTrigger(text string) (Trigger, bool) {
	parts := triggerForm.FindStringSubmatch(text)
	if parts == nil {
		return Trigger{}, false
	}
	kind, err := engine.ParseGroupKind(parts[1])
	return Trigger{kind, parts[2], parts[3]}, err == nil
}
