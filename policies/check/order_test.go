package check_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

// The objects of the cases below.
const (
	shop     = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	shopTeam = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n"
	lab      = "apiVersion: v1\nkind: Namespace\nmetadata: {name: lab}\n"
	system   = "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}\n"
)

// web is a NetworkPolicy that opens a port of pods that are isolated.
func web(namespace string) string {
	return policy(namespace, "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]")
}

func policy(namespace, name, spec string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + spec + "}\n"
}

const (
	webOpens = "audit networkpolicy-opens NetworkPolicy web"
	webLoses = "deny networkpolicy-isolation-lost NetworkPolicy web"
	ownLoses = "deny networkpolicy-isolation-lost NetworkPolicy sluice-default-deny"
	ownDiffs = "warn namespace-default-deny NetworkPolicy sluice-default-deny"
	ownOpens = "audit networkpolicy-opens NetworkPolicy sluice-default-deny"
)

// ran is what a check of the archive's folder in/ says, each result by action, policy and object, sorted, and once. The
// folders state/ and old/ are what the options of these names say; what else is in it are policies.
func ran(t *testing.T, archive string, o check.Options, options profile.Options) (said []string, r report.Report) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		folder, _, _ := strings.Cut(f.Name, "/")
		list := map[string]*[]string{"in": &o.Paths, "state": &o.State, "old": &o.Old}[folder]
		if list == nil {
			list = &options.Paths
		}
		if path := filepath.Join(dir, folder); !slices.Contains(*list, path) {
			*list = append(*list, path)
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if o.Policies, err = profile.Load(options); err != nil {
		t.Fatal(err)
	}
	if r, err = check.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		said = append(said, x.Action+" "+x.Policy+" "+x.Kind+" "+x.Name)
	}
	slices.Sort(said)
	return slices.Compact(said), r
}

func file(name, text string) string { return "-- " + name + " --\n" + text }

// What is generated in a Namespace that is created exists for everything in it, in whatever order the files are, and for
// nothing else.
func TestGeneratedObjectsComeBeforeWhatIsInTheirNamespace(t *testing.T) {
	narrow := policy("shop", "web", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]")
	wide := policy("shop", "web", "podSelector: {}, policyTypes: [Ingress]")
	same := policy("shop", "sluice-default-deny", "podSelector: {}, policyTypes: [Ingress, Egress]")
	other := policy("shop", "sluice-default-deny", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]")
	for _, c := range []struct {
		name, archive string
		operation     engine.Operation
		want          []string
	}{
		{"the Namespace is in front", file("in/a.yaml", shop) + file("in/b.yaml", web("shop")), "", []string{webOpens}},
		{"the Namespace is behind", file("in/a.yaml", web("shop")) + file("in/b.yaml", shop), "", []string{webOpens}},
		{"in one file", file("in/a.yaml", web("shop")+"---\n"+shop), "", []string{webOpens}},
		{"there is no Namespace", file("in/a.yaml", web("shop")), "", nil},
		{"another Namespace is created", file("in/a.yaml", web("shop")) + file("in/b.yaml", lab), "", nil},
		{"the Namespace exists", file("in/a.yaml", web("shop")) + file("state/ns.yaml", shop), "", nil},
		{"the Namespace exists, and is updated", file("in/a.yaml", web("shop")) + file("in/b.yaml", shopTeam) + file("state/ns.yaml", shop), "", nil},
		{"it was there before", file("in/a.yaml", web("shop")) + file("in/b.yaml", shopTeam) + file("old/ns.yaml", shop), "", nil},
		{"everything is created, they say", file("in/a.yaml", web("shop")) + file("in/b.yaml", shop) + file("state/ns.yaml", shop), engine.Create, []string{webOpens}},
		{"everything goes", file("in/a.yaml", web("shop")) + file("in/b.yaml", shop), engine.Delete,
			[]string{"audit networkpolicy-opens NetworkPolicy web", webLoses}},
		{"the Namespace is exempt", file("in/a.yaml", web("kube-system")) + file("in/b.yaml", system), "", nil},
		{"a namespace becomes closed, so that nothing is lost", file("in/a.yaml", narrow) + file("in/b.yaml", shop) + file("old/a.yaml", wide), "", nil},
		{"one that exists does not", file("in/a.yaml", narrow) + file("in/b.yaml", shop) + file("old/a.yaml", wide+"---\n"+shop), "",
			[]string{"audit networkpolicy-opens NetworkPolicy web", webLoses}},
		{"the folder has the generated object", file("in/a.yaml", same) + file("in/b.yaml", shop), "", nil},
		{"the folder has another of that name", file("in/a.yaml", other) + file("in/b.yaml", shop), "", []string{ownOpens, ownLoses, ownDiffs}},
		{"the same without the Namespace", file("in/a.yaml", other), "", nil},
		{"another of that name exists and stays", file("in/a.yaml", other) + file("in/b.yaml", shop) + file("state/a.yaml", other), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, r := ran(t, c.archive, check.Options{Operation: c.operation}, profile.Options{Name: "restricted"})
			if !slices.Equal(got, c.want) || r.Summary.Errors > 0 {
				t.Errorf("got %q, want %q; %+v", got, c.want, r.Results)
			}
		})
	}
}

const ownRules = `
-- rules/labelled.rego --
# METADATA
# title: A team's namespace is closed
# description: It has a NetworkPolicy named closed.
# custom:
#   severity: low
#   kinds: [Namespace]
#   generates: [networking.k8s.io/NetworkPolicy]
package sluice.labelled

generate contains {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": "closed"},
	"spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
} if {
	input.request.object.metadata.labels.team
}
-- rules/closed.rego --
# METADATA
# title: A Service is in a namespace that is closed
# description: There is a NetworkPolicy named closed, and the namespace belongs to a team.
# custom:
#   severity: low
#   kinds: [Service]
#   state: [networking.k8s.io/NetworkPolicy]
package sluice.closed

deny contains "open" if not sluice.state.get("networking.k8s.io/NetworkPolicy", input.request.namespace, "closed")

warn contains "no team" if not input.namespace.metadata.labels.team
`

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n"

func TestNamespaceGivenTwice(t *testing.T) {
	open, teamless := "deny closed Service web", "warn closed Service web"
	for _, c := range []struct {
		name, archive string
		want          []string
	}{
		{"once", file("in/a.yaml", service) + file("in/b.yaml", shopTeam), nil},
		{"twice the same", file("in/a.yaml", service) + file("in/b.yaml", shopTeam) + file("in/c.yaml", shopTeam), nil},
		{"only the first is created", file("in/a.yaml", shop) + file("in/b.yaml", shopTeam) + file("in/c.yaml", service), []string{open}},
		{"the second is a change, at its place", file("in/a.yaml", shop) + file("in/b.yaml", service) + file("in/c.yaml", shopTeam), []string{open, teamless}},
		{"what was generated stays", file("in/a.yaml", shopTeam) + file("in/b.yaml", shop) + file("in/c.yaml", service), []string{teamless}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := ran(t, ownRules+c.archive, check.Options{}, profile.Options{Name: profile.None})
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// What no policy judges may be generated all the same.
func TestGeneratedObjectThatNobodyJudges(t *testing.T) {
	same, other := policy("shop", "closed", "podSelector: {}"), policy("shop", "closed", "podSelector: {}, policyTypes: [Egress]")
	for name, c := range map[string]struct {
		archive string
		want    []string
	}{
		"the same":           {file("in/a.yaml", same) + file("in/b.yaml", shopTeam), nil},
		"another":            {file("in/a.yaml", other) + file("in/b.yaml", shopTeam), []string{"warn labelled NetworkPolicy closed"}},
		"nothing is made":    {file("in/a.yaml", other) + file("in/b.yaml", shop), nil},
		"elsewhere":          {file("in/a.yaml", strings.ReplaceAll(other, "shop", "lab")) + file("in/b.yaml", shopTeam), nil},
		"of another kind":    {file("in/a.yaml", strings.ReplaceAll(service, "web", "closed")) + file("in/b.yaml", shopTeam), nil},
		"with a flaw":        {file("in/a.yaml", strings.ReplaceAll(other, "podSelector", "podSelektor")) + file("in/b.yaml", shopTeam), nil},
		"the first of these": {file("in/a.yaml", other) + file("in/b.yaml", shopTeam) + file("in/c.yaml", same), []string{"warn labelled NetworkPolicy closed"}},
	} {
		got, _ := ran(t, ownRules+c.archive, check.Options{}, profile.Options{Name: profile.None})
		if got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "error") }); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A policy that only warns generates nothing: what is in the namespace is judged without it.
func TestPoliciesThatWarnGenerateNothing(t *testing.T) {
	warns := file("policies/warn.yaml", `apiVersion: policy.sluice.dev/v1alpha1
kind: GatePolicy
metadata: {name: namespace-default-deny}
spec: {rule: namespace-default-deny, action: Warn}
`)
	for name, c := range map[string]struct {
		policies string
		want     []string
	}{
		"generates": {"", []string{webOpens}},
		"warns":     {warns, []string{"warn namespace-default-deny Namespace shop"}},
	} {
		got, _ := ran(t, c.policies+file("in/a.yaml", web("shop"))+file("in/b.yaml", shop), check.Options{}, profile.Options{Name: "restricted"})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// fix and check see the same namespaces.
func TestFixKnowsNamespacesThatStandBehind(t *testing.T) {
	dir := t.TempDir()
	rule := filepath.Join(dir, "rule.rego")
	text := `# METADATA
# title: A Service bears its team
# description: The team is a label of the namespace.
# custom:
#   severity: low
#   kinds: [Service]
#   judges: [metadata.labels]
package sluice.team

patch contains {"op": "add", "path": "/metadata/labels/team", "value": input.namespace.metadata.labels.team} if {
	not input.request.object.metadata.labels.team
}
`
	if err := os.WriteFile(rule, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := profile.Load(profile.Options{Name: profile.None, Paths: []string{rule}})
	if err != nil {
		t.Fatal(err)
	}
	fixed, r, err := check.Fix(context.Background(), check.Options{Policies: set, Paths: []string{"-"}, Stdin: strings.NewReader(service + "---\n" + shopTeam)})
	if err != nil || r.Summary.Errors > 0 || len(fixed) != 1 || !strings.Contains(string(fixed[0].After), "labels: {team: a}") {
		t.Errorf("%v, %+v, %+v", err, r.Results, fixed)
	}
}

func TestExplainFollowsTheOrder(t *testing.T) {
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := check.Explain(context.Background(), check.Options{
		Policies: set, Paths: []string{"-"}, Stdin: strings.NewReader(web("shop") + "---\n" + shop),
	}, "networkpolicy-opens", "NetworkPolicy/web")
	if err != nil || len(e.Findings) != 1 {
		t.Errorf("%v, %+v", err, e.Findings)
	}
}
