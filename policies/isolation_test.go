package policies_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// apiServer is what the API server has, past the state. It records what is asked.
type apiServer struct {
	policies []string // objects
	pending  []string // names
	home     string   // the Namespace shop
	held     bool     // policies that select all pods suffice
	fails    error
	asked    []string
}

func (a *apiServer) remaining(t testing.TB) (state.Remaining, error) {
	all, err := a.live(t)
	if err != nil {
		return state.Remaining{}, err
	}
	return state.NewRemaining(all, func(p *state.LivePolicy) bool { return slices.Contains(a.pending, p.Name) }), a.fails
}

func (a *apiServer) live(t testing.TB) (*state.NamespacePolicies, error) {
	var all []*state.LivePolicy
	for _, text := range a.policies {
		live, err := state.NewLivePolicy(document(t, text))
		if err != nil {
			return nil, err
		}
		all = append(all, live)
	}
	return state.NewNamespacePolicies(all), nil
}

// fakeIsolation implements policies.IsolationClaimer and Namespaces.
type fakeIsolation struct {
	*apiServer
	t testing.TB
}

func (f fakeIsolation) Claim(_ context.Context, of state.PolicyChange, suffice func(*engine.PolicyList) bool, judge func(state.Remaining) bool) error {
	if f.held {
		live, err := f.live(f.t)
		if all := live.SelectingAll(of.Name); err == nil && all != nil && suffice(all) {
			f.asked = append(f.asked, "covered "+of.Name)
			return nil
		}
	}
	left, err := f.remaining(f.t)
	if err != nil {
		f.asked = append(f.asked, "claim fails")
		return err
	}
	if judge(left) {
		f.asked = append(f.asked, fmt.Sprintf("claimed %s/%s %s %s", of.Namespace, of.Name, of.UID, of.ResourceVersion))
	} else {
		f.asked = append(f.asked, "refused "+of.Name)
	}
	return nil
}

func (f fakeIsolation) Remaining(_ context.Context, of state.PolicyChange) (state.Remaining, error) {
	f.asked = append(f.asked, "looked at "+of.Namespace)
	return f.remaining(f.t)
}

func (f fakeIsolation) Namespace(context.Context, string) (engine.Document, error) {
	if f.home == "" {
		return engine.Document{}, errors.New("read namespace shop: no answer")
	}
	return document(f.t, f.home), nil
}

const (
	plainHome  = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`
	endingHome = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","deletionTimestamp":"2026-01-02T03:04:05Z"}}`
)

func netpol(name, metadata, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"namespace":"shop","name":%q,"uid":"u-%s","resourceVersion":"7"%s},"spec":{%s}}`,
		name, name, metadata, spec)
}

const (
	webPods = `"podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Ingress"]`
	allPods = `"podSelector":{},"policyTypes":["Ingress"]`
)

func isolationGate(t testing.TB, known state.Files, a *apiServer, change func(*v1alpha1.GatePolicy), exceptions ...v1alpha1.GateException) *policies.Gate {
	t.Helper()
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		t.Fatal(err)
	}
	// What a change opens is recorded by a policy of its own, which is no part of this.
	set.Policies = slices.DeleteFunc(set.Policies, func(p v1alpha1.GatePolicy) bool { return p.Name == "networkpolicy-opens" })
	for i := range set.Policies {
		if change != nil {
			change(&set.Policies[i])
		}
	}
	live := fakeIsolation{a, t}
	g, err := policies.NewGate(policies.Options{Library: set.Library, Policies: set.Policies, Exceptions: exceptions, State: known, Namespaces: known,
		Isolation: live, Live: live})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func deletion(t testing.TB, object string) policies.Request {
	t.Helper()
	r, err := policies.Compose(engine.Delete, document(t, object), engine.Document{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func isolationLost(change func(*v1alpha1.GatePolicySpec)) func(*v1alpha1.GatePolicy) {
	return func(p *v1alpha1.GatePolicy) {
		if p.Name == "networkpolicy-isolation-lost" {
			change(&p.Spec)
		}
	}
}

func warns(s *v1alpha1.GatePolicySpec) { s.Action = v1alpha1.ActionWarn }

func TestIsolationBeyondTheState(t *testing.T) {
	web, all := netpol("web", "", webPods), netpol("all", "", allPods)
	out, more := netpol("out", "", `"podSelector":{},"policyTypes":["Egress"]`), netpol("more", "", webPods)
	ending := netpol("all", `,"deletionTimestamp":"2026-01-02T03:04:05Z"`, allPods)
	dry := func(r policies.Request) policies.Request { r.DryRun = true; return r }
	const (
		lost = "pods app=web lose their isolation for Ingress: no NetworkPolicy selects them any more"
		read = "could not judge: "
	)
	for _, c := range []struct {
		what    string
		known   []string // the state
		live    apiServer
		request policies.Request
		change  func(*v1alpha1.GatePolicy)
		asked   string
		want    string // the first message; "" if there is none
	}{
		{"another isolates", []string{web, all}, apiServer{policies: []string{web, all}}, deletion(t, web), nil, "claimed shop/web u-web 7", ""},
		{"the state lags behind a new policy", []string{web}, apiServer{policies: []string{web, all}}, deletion(t, web), nil, "looked at shop; claimed shop/web u-web 7", ""},
		{"the state lags behind a deletion", []string{web, all}, apiServer{policies: []string{web}, home: plainHome}, deletion(t, web), nil, "refused web", lost},
		{"the other is being changed", []string{web, all}, apiServer{policies: []string{web, all}, pending: []string{"all"}, home: plainHome}, deletion(t, web), nil, "refused web",
			lost + "; NetworkPolicy all does not count, a change of it was admitted a moment ago"},
		{"the state lags behind the end of the namespace", []string{web}, apiServer{policies: []string{web}, home: endingHome}, deletion(t, web), nil, "looked at shop; claimed shop/web u-web 7", ""},
		{"the end of the namespace is known", []string{web, endingHome}, apiServer{}, deletion(t, web), nil, "", ""},
		{"no namespace to be had", []string{web}, apiServer{policies: []string{web}}, deletion(t, web), nil, "looked at shop", read + "read namespace shop: no answer"},
		{"no answer", []string{web, all}, apiServer{fails: errors.New("no answer")}, deletion(t, web), nil, "claim fails", read + "no answer"},
		{"a dry run", []string{web}, apiServer{policies: []string{web, all}}, dry(deletion(t, web)), nil, "looked at shop", ""},
		{"a dry run that would lose", []string{web, all}, apiServer{policies: []string{web}, home: plainHome}, dry(deletion(t, web)), nil, "looked at shop", lost},
		{"rules only", []string{web}, apiServer{}, update(t, netpol("web", "", webPods+`,"ingress":[{"from":[{"podSelector":{}}]}]`), web), nil, "", ""},
		{"other pods", []string{web, all}, apiServer{policies: []string{web, all}}, update(t, netpol("web", "", `"podSelector":{"matchLabels":{"app":"db"}},"policyTypes":["Ingress"]`), web), nil, "claimed shop/web u-web 7", ""},
		{"denied by another rule", []string{web, all}, apiServer{policies: []string{web, all}},
			update(t, netpol("web", "", `"podSelector":{"matchLabels":{"app":"db"}},"policyTypes":["Ingress"],"egress":[{"ports":[{"port":53}]}]`), web), nil,
			"looked at shop", "egress rules have no effect, because policyTypes is [Ingress]: egress stays as open as before"},
		{"only a warning", []string{web}, apiServer{policies: []string{web}, home: plainHome}, deletion(t, web), isolationLost(warns), "looked at shop", lost},
		{"only a warning, and the state lags", []string{web}, apiServer{policies: []string{web, all}}, deletion(t, web), isolationLost(warns), "looked at shop", ""},
		{"a new policy", nil, apiServer{}, create(t, web), nil, "", ""},
		{"a policy for all pods suffices", []string{web, all}, apiServer{policies: []string{web, all}, held: true}, deletion(t, web), nil, "covered web", ""},
		{"one for all pods, in the other direction", []string{web, out, more}, apiServer{policies: []string{web, out, more}, held: true}, deletion(t, web), nil, "claimed shop/web u-web 7", ""},
		{"one for all pods, and it is ending", []string{web, ending}, apiServer{policies: []string{web, ending}, held: true, home: plainHome}, deletion(t, web), nil, "looked at shop", lost},
		{"no policy matches", []string{web}, apiServer{}, deletion(t, web), isolationLost(func(s *v1alpha1.GatePolicySpec) { s.Match.ExcludedNamespaces = []string{"shop"} }), "", ""},
	} {
		known := state.NewFiles()
		for _, object := range append([]string{plainHome}, c.known...) {
			known.Put(document(t, object))
		}
		d := isolationGate(t, known, &c.live, c.change).Review(t.Context(), c.request)
		got := ""
		if len(d.Findings) > 0 {
			got = d.Findings[0].Message
		}
		if asked := strings.Join(c.live.asked, "; "); asked != c.asked || got != c.want {
			t.Errorf("%s: asked %q, want %q; said %q, want %q", c.what, asked, c.asked, got, c.want)
		}
		if denied := c.want != "" && c.change == nil; d.Allowed() == denied {
			t.Errorf("%s: allowed is %v", c.what, d.Allowed())
		}
	}
}

func TestIsolationExcused(t *testing.T) {
	web := netpol("web", "", webPods)
	known := state.NewFiles()
	known.Put(document(t, web))
	exception := v1alpha1.GateException{ObjectMeta: metav1.ObjectMeta{Name: "moving"}, Spec: v1alpha1.GateExceptionSpec{
		Policies: []string{"networkpolicy-isolation-lost"}, Reason: "moving", Expires: metav1.NewTime(time.Now().Add(time.Hour)),
		Match: v1alpha1.ExceptionMatch{Namespaces: []string{"shop"}}}}
	for what, live := range map[string]*apiServer{
		"lost":      {policies: []string{web}, home: plainHome},
		"no answer": {fails: errors.New("no answer")},
	} {
		if d := isolationGate(t, known, live, nil, exception).Review(t.Context(), deletion(t, web)); !d.Allowed() || len(d.Audits()) != 1 {
			t.Errorf("%s: %s", what, findingsOf(d))
		}
	}
}

// A request to delete a collection names no object, and each of its objects all the same.
func TestIsolationOfACollection(t *testing.T) {
	web := netpol("web", "", webPods)
	live := &apiServer{policies: []string{web, netpol("all", "", allPods)}}
	r := deletion(t, web)
	r.Name = ""
	if d := isolationGate(t, state.NewFiles(), live, nil).Review(t.Context(), r); !d.Allowed() || live.asked[len(live.asked)-1] != "claimed shop/web u-web 7" {
		t.Errorf("%s, asked %v", findingsOf(d), live.asked)
	}
}

func home(labels string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop","labels":{%s}}}`, labels)
}

func TestNamespaceLeavesIsolation(t *testing.T) {
	web := netpol("web", "", webPods)
	prod := isolationLost(func(s *v1alpha1.GatePolicySpec) {
		s.Match.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}
	})
	byLabel := isolationLost(func(s *v1alpha1.GatePolicySpec) {
		s.Match.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"keep": "yes"}}
	})
	kept := netpol("web", `,"labels":{"keep":"yes"}`, webPods)
	for _, c := range []struct {
		what    string
		change  func(*v1alpha1.GatePolicy)
		live    []string
		request policies.Request
		want    string
	}{
		{"a label less", prod, []string{web}, update(t, home(``), home(`"env":"prod"`)),
			"the labels take namespace shop out of this policy, while NetworkPolicy web isolates pods app=web for Ingress"},
		{"nothing isolated", prod, nil, update(t, home(``), home(`"env":"prod"`)), ""},
		{"another label", prod, []string{web}, update(t, home(`"env":"prod","a":"b"`), home(`"env":"prod"`)), ""},
		{"it comes in", prod, []string{web}, update(t, home(`"env":"prod"`), home(``)), ""},
		{"it never was in", prod, []string{web}, update(t, home(`"a":"b"`), home(``)), ""},
		{"no selector", nil, []string{web}, update(t, home(``), home(`"env":"prod"`)), ""},
		{"a policy leaves", byLabel, []string{kept}, update(t, web, kept),
			"pods app=web lose their isolation for Ingress: with these labels this policy protects the NetworkPolicy no more"},
		{"a policy stays", byLabel, []string{kept}, update(t, netpol("web", `,"labels":{"keep":"yes","a":"b"}`, webPods), kept), ""},
	} {
		// The state knows nothing of the policies yet.
		d := isolationGate(t, state.NewFiles(), &apiServer{policies: c.live, home: plainHome}, c.change).Review(t.Context(), c.request)
		got := ""
		if len(d.Findings) > 0 {
			got = d.Findings[0].Message
		}
		if got != c.want || d.Allowed() != (c.want == "") {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// Only a policy with a namespaceSelector wants to know of Namespaces.
func TestInterestInNamespaces(t *testing.T) {
	for _, selects := range []bool{false, true} {
		g := isolationGate(t, state.NewFiles(), &apiServer{}, isolationLost(func(s *v1alpha1.GatePolicySpec) {
			if selects {
				s.Match.NamespaceSelector = &metav1.LabelSelector{}
			}
		}))
		interests := g.Interests()
		i := slices.IndexFunc(interests, func(i policies.Interest) bool { return i.Policy == "networkpolicy-isolation-lost" })
		if interests[i].Leaving != selects || slices.Contains(interests[i].Kinds, schema.GroupKind{Kind: "Namespace"}) {
			t.Errorf("%v: %+v", selects, interests[i])
		}
	}
}

// BenchmarkIsolation is the deletion of one of 1,000 policies by restricted, of which others isolate the same pods.
func BenchmarkIsolation(b *testing.B) {
	known, live := state.NewFiles(), &apiServer{home: plainHome}
	known.Put(document(b, plainHome))
	web := netpol("web", "", webPods)
	for i := range 999 {
		object := netpol(fmt.Sprintf("p-%d", i), "", fmt.Sprintf(`"podSelector":{"matchLabels":{"app":"app-%d"}},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[{"podSelector":{}}]}]`, i))
		known.Put(document(b, object))
		live.policies = append(live.policies, object)
	}
	known.Put(document(b, web))
	all := netpol("z-all", "", allPods)
	for what, c := range map[string]struct {
		object  string
		others  string
		allowed bool
	}{
		"kept":        {web, all, true},
		"lost":        {all, web, false},
		"lost wholly": {web, web, false},
	} {
		b.Run(what, func(b *testing.B) {
			known.Put(document(b, c.others))
			set, err := profile.Load(profile.Options{Name: "restricted"})
			if err != nil {
				b.Fatal(err)
			}
			g, err := set.Gate(policies.Options{State: known, Namespaces: known})
			if err != nil {
				b.Fatal(err)
			}
			request := deletion(b, c.object)
			b.ReportAllocs()
			for b.Loop() {
				if g.Review(context.Background(), request).Allowed() != c.allowed {
					b.Fatal(findingsOf(g.Review(context.Background(), request)))
				}
			}
			b.StopTimer()
			known.Delete(schema.GroupKind{Group: "networking.k8s.io", Kind: "NetworkPolicy"}, "shop", "z-all")
		})
	}
}

// BenchmarkUnion reviews new policies and updates in a namespace with 1,000 policies, whose union they need.
func BenchmarkUnion(b *testing.B) {
	known := state.NewFiles()
	known.Put(document(b, plainHome))
	known.Put(document(b, netpol("z-all", "", allPods)))
	const egress = `"podSelector":{"matchLabels":{"app":"app-%d"}},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[{"podSelector":{}}]}],"egress":[{"ports":[{"protocol":"TCP","port":%d}],"to":[{"ipBlock":{"cidr":"%s"}}]}]`
	for i := range 999 {
		known.Put(document(b, netpol(fmt.Sprintf("p-%d", i), "", fmt.Sprintf(egress, i, 443, fmt.Sprintf("20.%d.%d.0/24", i/100, i%100)))))
	}
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		b.Fatal(err)
	}
	g, err := set.Gate(policies.Options{State: known, Namespaces: known})
	if err != nil {
		b.Fatal(err)
	}
	for what, object := range map[string]string{
		"one app":  netpol("new", "", fmt.Sprintf(egress, 7, 8443, "198.51.200.0/24")),
		"all pods": netpol("new", "", `"podSelector":{},"policyTypes":["Egress"],"egress":[{"ports":[{"protocol":"TCP","port":443}],"to":[{"ipBlock":{"cidr":"21.0.0.0/16"}}]}]`),
	} {
		b.Run(what, func(b *testing.B) {
			request := create(b, object)
			b.ReportAllocs()
			for b.Loop() {
				if d := g.Review(context.Background(), request); !d.Allowed() {
					b.Fatal(findingsOf(d))
				}
			}
		})
	}
}
