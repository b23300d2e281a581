package policies_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

const (
	sluiceUser = "system:serviceaccount:sluice-system:sluice"
	rescuers   = "example:rescuers"
)

// homes are namespaces as the API server has them.
type homes map[string]string

func (h homes) Namespace(_ context.Context, name string) (engine.Document, error) {
	text, ok := h[name]
	switch {
	case name == "gone":
		return engine.Document{}, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
	case !ok:
		return engine.Document{}, errors.New("no answer")
	}
	return engine.ParseJSON([]byte(text))
}

const (
	shopHome = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}}`
	goesHome = `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "goes", "deletionTimestamp": "2026-01-01T00:00:00Z"}}`
)

// guardGate has the policies floor (which holds pods of env=prod), told (of action Warn) and other.
func guardGate(t *testing.T, change func(*policies.Options)) *policies.Gate {
	t.Helper()
	generating := func(name string, change func(*v1alpha1.GatePolicySpec)) v1alpha1.GatePolicy {
		p := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
			Spec: v1alpha1.GatePolicySpec{Rule: "namespace-default-deny"}}
		change(&p.Spec)
		return p
	}
	o := policies.Options{Library: shipped(t), Self: sluiceUser, BreakGlass: []string{rescuers}, State: state.NewFiles(),
		Namespaces: homes{"shop": shopHome, "goes": goesHome, "old": strings.Replace(home(`"env": "prod"`), `"name":`, `"creationTimestamp": "2025-01-01T00:00:00Z", "name":`, 1)},
		Policies: []v1alpha1.GatePolicy{
			generating("floor", func(s *v1alpha1.GatePolicySpec) {
				s.Match.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
				s.Generate = &v1alpha1.Generate{HoldPods: true}
			}),
			generating("told", func(s *v1alpha1.GatePolicySpec) {
				s.Action, s.Generate = v1alpha1.ActionWarn, &v1alpha1.Generate{HoldPods: true}
			}),
			generating("other", func(s *v1alpha1.GatePolicySpec) { s.Message = "see example.com" }),
		}}
	if change != nil {
		change(&o)
	}
	g, err := policies.NewGate(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// generatedPolicy is a NetworkPolicy in a namespace, with more metadata and a spec.
func generatedPolicy(namespace, metadata, spec string) string {
	return `{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "np", "namespace": "` + namespace + `"` + metadata + `}, "spec": ` + spec + `}`
}

func by(r policies.Request, user string, groups ...string) policies.Request {
	r.User = policies.User{Name: user, Groups: groups}
	return r
}

func TestGuardOfGeneratedObjects(t *testing.T) {
	const label, told = `, "labels": {"policy.sluice.dev/generated-by": "floor"}`, `, "labels": {"policy.sluice.dev/generated-by": "told"}`
	const closed, open = `{"podSelector": {}, "ingress": []}`, `{"podSelector": {}, "ingress": [{}]}`
	mine := generatedPolicy("shop", label, closed)
	because := func(trigger string) string {
		return `, "annotations": {"policy.sluice.dev/trigger": "` + trigger + `"}`
	}
	wide := func(trigger string) string {
		return strings.Replace(generatedPolicy("", label+because(trigger), closed), `"namespace": "", `, "", 1)
	}
	known := state.NewFiles()
	known.Put(document(t, `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}}`))
	for _, c := range []struct {
		name    string
		request policies.Request
		want    string // of the finding, with its effect; "" for none
	}{
		{"deleted", by(remove(t, mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be deleted at "},
		{"opened", by(update(t, generatedPolicy("shop", label, open), mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at spec"},
		{"label off", by(update(t, generatedPolicy("shop", "", closed), mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at metadata.labels"},
		{"another label", by(update(t, generatedPolicy("shop", told, closed), mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at metadata.labels"},
		{"an annotation", by(update(t, generatedPolicy("shop", label+`, "annotations": {"a": "b"}`, closed), mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at metadata.annotations"},
		{"a finalizer", by(update(t, generatedPolicy("shop", label+`, "finalizers": ["a/b"]`, closed), mine), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at metadata.finalizers"},
		{"its finalizer off, while it goes", by(update(t, generatedPolicy("shop", label+`, "deletionTimestamp": "2026-01-01T00:00:00Z"`, closed),
			generatedPolicy("shop", label+`, "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]`, closed)), "jane"), ""},
		{"opened while it goes", by(update(t, generatedPolicy("shop", label+`, "deletionTimestamp": "2026-01-01T00:00:00Z"`, open),
			generatedPolicy("shop", label+`, "deletionTimestamp": "2026-01-01T00:00:00Z"`, closed)), "jane"), "deny: NetworkPolicy shop/np is generated and can't be changed at spec"},
		{"nothing", by(update(t, mine, mine), "jane"), ""},
		{"its status", by(update(t, strings.Replace(mine, `"spec"`, `"status": {"a": 1}, "spec"`, 1), mine), "jane"), ""},
		{"by Sluice", by(remove(t, mine), sluiceUser), ""},
		{"by one who looks like Sluice", by(remove(t, mine), "system:serviceaccount:shop:sluice"), "deny: NetworkPolicy shop/np is generated and can't be deleted at "},
		{"by break-glass", by(remove(t, mine), "jane", "system:authenticated", rescuers),
			"warn: NetworkPolicy shop/np is generated and can't be deleted; admitted by break-glass, and put back at once where the policy still asks for it at "},
		{"in a namespace that goes", by(remove(t, generatedPolicy("goes", label, closed)), "jane"), ""},
		{"in a namespace nobody knows", by(remove(t, generatedPolicy("lost", label, closed)), "jane"), "deny: could not judge: no answer at "},
		{"of no namespace, generated for one that is there", by(remove(t, wide("Namespace/shop")), "jane"), "deny: NetworkPolicy np is generated and can't be deleted at "},
		{"of no namespace, generated for one that goes", by(remove(t, wide("Namespace/goes")), "jane"), ""},
		{"of no namespace, generated for one that is gone", by(remove(t, wide("Namespace/gone")), "jane"), ""},
		{"of no namespace, generated for all", by(remove(t, wide("")), "jane"), "deny: NetworkPolicy np is generated and can't be deleted at "},
		{"generated for something that is there", by(remove(t, generatedPolicy("shop", label+because("Service/shop/web"), closed)), "jane"), "deny: NetworkPolicy shop/np is generated and can't be deleted at "},
		{"generated for something that is gone", by(remove(t, generatedPolicy("shop", label+because("Service/shop/gone"), closed)), "jane"), ""},
		{"of a policy that only tells", by(remove(t, generatedPolicy("shop", told, closed)), "jane"), ""},
		{"of a policy that is gone", by(remove(t, generatedPolicy("shop", strings.Replace(told, "told", "gone", 1), closed)), "jane"), ""},
		{"forged", by(create(t, mine), "jane"), "deny: NetworkPolicy shop/np is not generated, and the label policy.sluice.dev/generated-by would say that it is at metadata.labels"},
		{"forged later", by(update(t, mine, generatedPolicy("shop", "", closed)), "jane"), "deny: NetworkPolicy shop/np is not generated, and the label policy.sluice.dev/generated-by would say that it is at metadata.labels"},
		{"plain", by(create(t, generatedPolicy("shop", "", closed)), "jane"), ""},
		{"the policy's message", by(remove(t, generatedPolicy("shop", strings.Replace(told, "told", "other", 1), closed)), "jane"), "deny: NetworkPolicy shop/np is generated and can't be deleted (see example.com) at "},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := guardGate(t, func(o *policies.Options) { o.State = known }).Guard(t.Context(), c.request)
			if got := said(d); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if d.Allowed() != !strings.HasPrefix(c.want, "deny") || d.BreakGlass != strings.HasPrefix(c.want, "warn") {
				t.Errorf("allowed %v, break-glass %v", d.Allowed(), d.BreakGlass)
			}
		})
	}
}

// said is a decision's finding.
func said(d policies.Decision) string {
	var out []string
	for _, f := range d.Findings {
		out = append(out, string(f.Effect)+": "+f.Message+" at "+f.Field)
	}
	return strings.Join(out, "\n")
}

func TestGuardOfMarks(t *testing.T) {
	marked := func(value string) string {
		return `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b", "policy.sluice.dev/baseline": "` + value + `"}}}`
	}
	const denied = "deny: the label policy.sluice.dev/baseline says that what is generated for Namespace shop is there, and only Sluice sets it at metadata.labels"
	for _, c := range []struct {
		name    string
		request policies.Request
		want    string
	}{
		{"created with it", by(create(t, marked("ready")), "jane"), denied},
		{"created without", by(create(t, shopHome), "jane"), ""},
		{"set", by(update(t, marked("ready"), shopHome), "jane"), denied},
		{"taken", by(update(t, shopHome, marked("ready")), "jane"), denied},
		{"changed", by(update(t, marked("no"), marked("ready")), "jane"), denied},
		{"left", by(update(t, strings.Replace(marked("ready"), `"a": "b"`, `"a": "c"`, 1), marked("ready")), "jane"), ""},
		{"set by Sluice", by(update(t, marked("ready"), shopHome), sluiceUser), ""},
		{"taken by break-glass", by(update(t, shopHome, marked("ready")), "jane", rescuers), strings.Replace(denied, "deny", "warn", 1)},
		{"taken while the namespace goes", by(update(t, goesHome, strings.Replace(goesHome, `"name"`, `"labels": {"policy.sluice.dev/baseline": "ready"}, "name"`, 1)), "jane"), ""},
	} {
		got := said(guardGate(t, nil).Guard(t.Context(), c.request))
		got = strings.Replace(got, "; admitted by break-glass, and put back at once where the policy still asks for it", "", 1)
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	none := guardGate(t, func(o *policies.Options) { o.Policies[0].Spec.Generate = nil })
	if d := none.Guard(t.Context(), by(create(t, marked("ready")), "jane")); !d.Allowed() || len(d.Findings) > 0 {
		t.Errorf("no policy holds pods: %q", said(d))
	}
}

// aPod is in a namespace, with more metadata and spec.
func aPod(namespace, metadata, spec string) string {
	return `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "` + namespace + `"` + metadata + `}, "spec": {"containers": []` + spec + `}}`
}

const gate = `, "schedulingGates": [{"name": "policy.sluice.dev/baseline"}]`

func TestGuardOfGates(t *testing.T) {
	const denied = "deny: Pod shop/web waits for what is generated for namespace shop, and only Sluice takes its gate policy.sluice.dev/baseline at spec.schedulingGates"
	for _, c := range []struct {
		name    string
		request policies.Request
		want    string
	}{
		{"taken", by(update(t, aPod("shop", "", ""), aPod("shop", "", gate)), "jane"), denied},
		{"replaced by another", by(update(t, aPod("shop", "", strings.Replace(gate, "policy.sluice.dev/baseline", "mine", 1)), aPod("shop", "", gate)), "jane"), denied},
		{"left", by(update(t, aPod("shop", `, "labels": {"a": "b"}`, gate), aPod("shop", "", gate)), "jane"), ""},
		{"another gate taken", by(update(t, aPod("shop", "", ""), aPod("shop", "", strings.Replace(gate, "policy.sluice.dev/baseline", "mine", 1))), "jane"), ""},
		{"taken by Sluice", by(update(t, aPod("shop", "", ""), aPod("shop", "", gate)), sluiceUser), ""},
		{"taken while it goes", by(update(t, aPod("shop", "", ""), aPod("shop", `, "deletionTimestamp": "2026-01-01T00:00:00Z"`, gate)), "jane"), ""},
	} {
		if got := said(guardGate(t, nil).Guard(t.Context(), c.request)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHold(t *testing.T) {
	ready := strings.Replace(shopHome, `"env": "prod"`, `"env": "prod", "policy.sluice.dev/baseline": "ready"`, 1)
	for _, c := range []struct {
		name, pod string
		change    func(*policies.Options)
		want      string // the patches, or the finding
	}{
		{"waits", aPod("shop", "", ""), nil, `add /spec/schedulingGates [{"name":"policy.sluice.dev/baseline"}]`},
		{"has a gate of its own", aPod("shop", "", `, "schedulingGates": [{"name": "mine"}]`), nil, `add /spec/schedulingGates/- {"name":"policy.sluice.dev/baseline"}`},
		{"waits already", aPod("shop", "", gate), nil, ""},
		{"has a node", aPod("shop", "", `, "nodeName": "n"`), nil, "deny: what is generated for namespace shop is not there yet, and a pod that names its node can't wait for it at spec.nodeName"},
		{"mirrors", aPod("shop", `, "annotations": {"kubernetes.io/config.mirror": "x"}`, `, "nodeName": "n"`), nil, ""},
		{"in a namespace that has it by now", aPod("shop", "", ""), func(o *policies.Options) { o.Namespaces = homes{"shop": ready} }, ""},
		{"in a namespace older than the policy, which lacks what it had", aPod("old", "", ""), nil, `add /spec/schedulingGates [{"name":"policy.sluice.dev/baseline"}]`},
		{"in a namespace of no policy", aPod("goes", "", ""), nil, ""},
		{"in an exempt namespace", aPod("shop", "", ""), func(o *policies.Options) { o.ExemptNamespaces = []string{"sh*"} }, ""},
		{"in a namespace nobody knows", aPod("lost", "", ""), nil, "deny: could not judge: no answer at "},
		{"no policy holds pods", aPod("lost", "", ""), func(o *policies.Options) { o.Policies[0].Spec.Generate = nil }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := by(create(t, c.pod), "jane")
			d := guardGate(t, c.change).Hold(t.Context(), r)
			got := said(d)
			for _, p := range d.Patches {
				got += p.Op + " " + p.Path + " " + p.Value.String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if (d.RetryAfter > 0) != strings.Contains(c.want, "names its node") {
				t.Errorf("retry after %s", d.RetryAfter)
			}
			patched, err := r.Patched(d.Patches)
			if err != nil {
				t.Fatal(err)
			}
			if again := guardGate(t, c.change).Hold(t.Context(), patched); len(again.Patches) > 0 {
				t.Errorf("applied twice: %v", again.Patches)
			}
		})
	}
}

// What spec.generate says in vain, or wrongly, is refused.
func TestGenerateSpec(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*v1alpha1.GatePolicySpec)
		want   string
	}{
		{"of a rule that generates nothing", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Generate = "ingress-tls-required", &v1alpha1.Generate{}
		}, "spec.generate: the rule ingress-tls-required generates nothing"},
		{"with a retention that there isn't", func(s *v1alpha1.GatePolicySpec) { s.Generate.OnDelete = "Forget" }, `spec.generate.onDelete: "Forget", want Retain or Delete`},
		{"with another one", func(s *v1alpha1.GatePolicySpec) { s.Generate.OnUnmatch = "retain" }, `spec.generate.onUnmatch: "retain", want Retain or Delete`},
		{"that holds pods for no namespace", func(s *v1alpha1.GatePolicySpec) {
			s.Rule, s.Rego = "", strings.Replace(aboutNamespaces, "[Namespace]", "[Service]", 1)
		}, "spec.generate.holdPods: pods wait for what is generated for their Namespace, and this policy generates for Service"},
		{"all of it", func(s *v1alpha1.GatePolicySpec) {
			s.Generate.OnDelete, s.Generate.OnUnmatch, s.Generate.Existing = "Delete", "Retain", true
		}, ""},
	} {
		p := v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1alpha1.GatePolicySpec{Rule: "namespace-default-deny", Generate: &v1alpha1.Generate{HoldPods: true}}}
		c.change(&p.Spec)
		err := policies.VetPolicy(t.Context(), policies.Options{Library: shipped(t)}, p)
		if got := ""; err != nil && err.Error() != c.want || err == nil && got != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTriggers(t *testing.T) {
	for _, key := range []policies.Trigger{
		{schema.GroupKind{Kind: "Namespace"}, "", "shop"},
		{schema.GroupKind{Kind: "Service"}, "shop", "web"},
		{schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}, "shop", "web"},
		{schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}, "", "nginx.example.com"},
	} {
		if got, ok := policies.ParseTrigger(key.String()); !ok || got != key {
			t.Errorf("%s: got %+v, %v", key, got, ok)
		}
	}
	for _, text := range []string{"", "shop", "Namespace", "Namespace/", "Service/a/b/c", "a/b/c", "/Namespace/a"} {
		if got, ok := policies.ParseTrigger(text); ok {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}
