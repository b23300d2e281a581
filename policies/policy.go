package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/spelling"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// policy is a GatePolicy ready for use, or one that can't be.
type policy struct {
	name       string
	spec       v1alpha1.GatePolicySpec
	rule       *engine.Rule
	match      matcher
	parameters map[string]any
	complete   map[string]any     // parameters with their defaults
	verbs      []engine.Verb      // of the rule's, those that may say something with the parameters; meaningless with err
	state      []schema.GroupKind // what it asks about
	generates  []schema.GroupKind // of the rule's, those that it generates with the parameters
	keep       v1alpha1.Generate  // how they are kept
	created    time.Time
	action     v1alpha1.Action
	message    string
	err        error // why it can't be evaluated
}

// newPolicy compiles a policy; what was, which may be nil, is the compiled policy of that name in an earlier gate of
// the same library and defaults.
func newPolicy(o Options, source *v1alpha1.GatePolicy, was *policy) (policy, error) {
	spec := source.Spec
	if was != nil && equality.Semantic.DeepEqual(spec, was.spec) {
		same := *was
		same.created = source.CreationTimestamp.Time
		return same, nil
	}
	p := policy{name: source.Name, spec: *spec.DeepCopy(), action: spec.Action, message: spec.Message, created: source.CreationTimestamp.Time}
	if spec.Generate != nil {
		p.keep = *spec.Generate
	}
	if p.action == "" {
		p.action = v1alpha1.ActionDeny
	}
	if p.name == "" {
		return p, errors.New("metadata.name: missing")
	}
	if !slices.Contains([]v1alpha1.Action{v1alpha1.ActionDeny, v1alpha1.ActionWarn, v1alpha1.ActionAudit}, p.action) {
		return p, fmt.Errorf("spec.action: %q, want Deny, Warn or Audit", p.action)
	}
	var err error
	if was != nil && spec.Rule == was.spec.Rule && spec.Rego == was.spec.Rego && slices.Equal(spec.Libs, was.spec.Libs) {
		p.rule = was.rule
	} else if p.rule, err = policyRule(o.Library, p.name, spec); err != nil {
		return p, err
	}
	if p.match, err = newMatcher(spec.Match, p.rule); err != nil {
		return p, err
	}
	if p.rule.States(engine.Generate) && !slices.Contains(p.match.operations, engine.Create) {
		return p, errors.New("spec.match.operations: what is generated exists from the beginning: name CREATE, too")
	}
	if err := p.checkGenerate(); err != nil {
		return p, err
	}
	p.parameters = map[string]any{}
	if spec.Parameters != nil && len(spec.Parameters.Raw) > 0 {
		if err := json.Unmarshal(spec.Parameters.Raw, &p.parameters); err != nil {
			return p, fmt.Errorf("spec.parameters: want an object: %w", err)
		}
	}
	p.parameters = withDefaults(p.parameters, spec, o.Defaults)
	p.complete, err = p.rule.CompleteParameters(p.parameters)
	p.state, p.generates = p.rule.StateUnder(p.complete), p.rule.GeneratesUnder(p.complete)
	return p, err
}

// checkGenerate refuses what spec.generate says in vain.
func (p *policy) checkGenerate() error {
	if p.spec.Generate == nil {
		return nil
	}
	for field, retention := range map[string]v1alpha1.Retention{"onDelete": p.keep.OnDelete, "onUnmatch": p.keep.OnUnmatch} {
		if !slices.Contains([]v1alpha1.Retention{"", v1alpha1.Retain, v1alpha1.Remove}, retention) {
			return fmt.Errorf("spec.generate.%s: %q, want Retain or Delete", field, retention)
		}
	}
	switch {
	case !p.rule.States(engine.Generate):
		return fmt.Errorf("spec.generate: the rule %s generates nothing", p.rule.ID)
	case p.keep.HoldPods && !slices.Contains(p.match.kinds, namespaceKind):
		return fmt.Errorf("spec.generate.holdPods: pods wait for what is generated for their Namespace, and this policy generates for %s",
			engine.FormatGroupKind(p.match.kinds[0]))
	}
	return nil
}

func policyRule(library *engine.Library, name string, spec v1alpha1.GatePolicySpec) (*engine.Rule, error) {
	if err := spec.CheckSize(); err != nil {
		return nil, err
	}
	switch {
	case library == nil:
		return nil, errors.New("there is no library of rules")
	case spec.Rule != "" && spec.Rego != "":
		return nil, errors.New("spec: has both rule and rego, want exactly one of them")
	case spec.Rule != "" && len(spec.Libs) > 0:
		return nil, errors.New("spec.libs: libs are for rego; the rule of an id has its own")
	case spec.Rego != "":
		return library.Inline(name+".rego", spec.Rego, spec.Libs...)
	case spec.Rule == "":
		return nil, errors.New("spec: has neither rule nor rego, want exactly one of them")
	}
	if rule, ok := library.Rule(spec.Rule); ok {
		return rule, nil
	}
	return nil, fmt.Errorf("spec.rule: there is no rule %q%s", spec.Rule, nearestRule(library, spec.Rule))
}

// nearestRule suggests what a misspelt id could mean.
func nearestRule(library *engine.Library, id string) string {
	var ids []string
	for _, rule := range library.Rules() {
		ids = append(ids, rule.ID)
	}
	if suggestion := spelling.Suggest(id, ids); suggestion != "" {
		return suggestion
	}
	return "; `sluice rules` lists them"
}

// rejected makes a policy that can't be evaluated answer with that. It still matches what it is meant for, as far as
// that can be told: the kinds of its match, else those of its rule's METADATA.
func (p policy) rejected(library *engine.Library, reason error) policy {
	if p.rule == nil && library != nil {
		p.rule, _ = library.Rule(p.spec.Rule)
	}
	if p.rule == nil {
		p.rule = engine.Outline(p.name+".rego", p.spec.Rego)
	}
	p.match, p.state, p.generates = roughMatcher(p.spec.Match, p.rule), p.rule.State, p.rule.Generates
	first, _, more := strings.Cut(reason.Error(), "\n")
	if more {
		first += " …"
	}
	p.err = fmt.Errorf("policy does not compile: %s", first)
	return p
}

// states tells whether the policy may say something by a verb.
func (p *policy) states(verb engine.Verb) bool {
	return p.rule.States(verb) && (p.err != nil || slices.Contains(p.verbs, verb))
}

// isSilent tells whether the policy says nothing of any request, because its rule has to be told something first. It is
// asked about nothing.
func (p *policy) isSilent() bool { return p.err == nil && len(p.verbs) == 0 }

// unchanged tells whether an update changes nothing that the policy judges.
func (p *policy) unchanged(r Request) bool {
	return p.rule.Unchanged(r.Object, r.OldObject, p.complete)
}
