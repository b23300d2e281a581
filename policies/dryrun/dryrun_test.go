package dryrun_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/dryrun"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/report"
)

// set is the profile restricted, with the policies of a text.
func set(t testing.TB, policies string) *profile.Set {
	t.Helper()
	o := profile.Options{Name: "restricted"}
	if policies != "" {
		o.Paths = []string{filepath.Join(t.TempDir(), "own.rego")}
		if err := os.WriteFile(o.Paths[0], []byte(policies), 0o644); err != nil {
			t.Fatal(err)
		}
		o.Name = profile.None
	}
	loaded, err := profile.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func ran(t *testing.T, o dryrun.Options, input string) report.DryRun {
	t.Helper()
	o.Paths, o.Stdin = []string{"-"}, strings.NewReader(input)
	d, err := dryrun.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said is what a dry run says of the traffic of shop, a line for each change.
func said(d report.DryRun) string {
	var lines []string
	for _, n := range d.Namespaces {
		if n.Namespace != "shop" {
			continue
		}
		for _, c := range n.Closes {
			lines = append(lines, "closes "+c.Direction+" "+strings.Join(c.Names, " "))
		}
		for _, c := range n.Opens {
			lines = append(lines, "opens "+c.Direction+" "+strings.Join(c.Names, " "))
		}
	}
	return strings.Join(lines, "\n")
}

const shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"

func pod(name, labels string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: shop, labels: {" + labels + "}}\n"
}

func policy(name, spec string) string {
	return "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + ", namespace: shop}\nspec: {" + spec + "}\n"
}

// Pods lose what no NetworkPolicy that selects them isolates or allows, and nothing else.
func TestTraffic(t *testing.T) {
	a, b, c := pod("a", "app: a"), pod("b", "app: b"), pod("c", "app: b, tier: c")
	both := "policyTypes: [Ingress, Egress]"
	for _, test := range []struct{ name, input, want string }{
		{"no policy", a + b, "closes Egress a b\ncloses Ingress a b"},
		{"everything is isolated", a + b + policy("x", "podSelector: {}, "+both), "opens Egress a b"},
		{"everything is isolated, and DNS is open", a + policy("x", "podSelector: {}, "+both+", egress: [{ports: [{port: 53}, {port: 53, protocol: UDP}]}]"), ""},
		{"one direction is isolated", a + policy("x", "podSelector: {}, policyTypes: [Ingress], ingress: [{}]"), "closes Egress a"},
		{"the other is", a + policy("x", "podSelector: {}, policyTypes: [Egress], egress: [{}]"), "closes Ingress a"},
		{"one pod is isolated", a + b + policy("x", "podSelector: {matchLabels: {app: a}}, "+both+", egress: [{}]"), "closes Egress b\ncloses Ingress b"},
		{"by an expression", a + b + c + policy("x", "podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, "+both+", egress: [{}]"), "closes Egress c\ncloses Ingress c"},
		{"two policies select one", a + c + policy("x", "podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]") + policy("z", "podSelector: {matchLabels: {tier: c}}, policyTypes: [Egress], egress: [{}]"),
			"closes Egress a\ncloses Ingress a"},
		{"a policy of another namespace", a + strings.Replace(policy("x", "podSelector: {}, "+both), "namespace: shop", "namespace: lab", 1) + "---\n" + strings.Replace(shop, "shop", "lab", 1),
			"closes Egress a\ncloses Ingress a"},
		{"on the node's network", pod("a", "") + "spec: {hostNetwork: true}\n" + b, "closes Egress b\ncloses Ingress b"},
		{"not on it", pod("a", "") + "spec: {hostNetwork: false}\n", "closes Egress a\ncloses Ingress a"},
		{"it is there already", a + policy("sluice-default-deny", "podSelector: {}, "+both) + policy("sluice-allow-dns", "podSelector: {}, policyTypes: [Egress]"), "opens Egress a"},
		{"it is there, and opens what the generated one doesn't", a + policy("sluice-default-deny", "podSelector: {}, "+both+", ingress: [{}]"), "closes Ingress a\nopens Egress a"},
		{"it is there for some pods", a + b + policy("sluice-default-deny", "podSelector: {matchLabels: {app: a}}, "+both), "closes Egress b\ncloses Ingress b\nopens Egress a"},
		{"another opens the same anyway", a + policy("sluice-default-deny", "podSelector: {}, "+both+", ingress: [{}]") + policy("x", "podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{}]"), "opens Egress a"},
		{"no pods", "", "closes Egress \ncloses Ingress "},
		{"no pods, and some isolated", policy("x", "podSelector: {matchLabels: {app: a}}, "+both), "closes Egress \ncloses Ingress \nopens Egress "},
		{"no pods here, but elsewhere", strings.Replace(a, "namespace: shop", "namespace: lab", 1) + "---\n" + strings.Replace(shop, "shop", "lab", 1), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := ran(t, dryrun.Options{Policies: set(t, "")}, shop+test.input)
			if got := said(d); got != test.want || d.Summary.Errors > 0 {
				t.Errorf("got\n%s\nwant\n%s\n%+v", got, test.want, d.Errors)
			}
		})
	}
}

// What is generated is compared with what is there by what server-side apply would do to it.
func TestObjects(t *testing.T) {
	const rule = `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Namespace]
#   generates: [ConfigMap, cilium.io/CiliumNetworkPolicy, networking.k8s.io/NetworkPolicy]
package sluice.own

generate contains {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}}

generate contains {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "x"}, "spec": {"endpointSelector": {}}}
`
	cm := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: shop, labels: {b: c}}\ndata: "
	cilium := "---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: "
	for _, test := range []struct {
		name, input, want string
		code              int
	}{
		{"new", "", "CiliumNetworkPolicy new [] true, ConfigMap new [] false", 2},
		{"the same", cm + `{a: "1"}` + "\n" + cilium + "{endpointSelector: {}}\n", "CiliumNetworkPolicy same [] false, ConfigMap same [] false", 0},
		{"with more than is generated", cm + `{a: "1", b: "2"}` + "\n" + cilium + "{endpointSelector: {}, ingress: [{}]}\n", "CiliumNetworkPolicy same [] false, ConfigMap same [] false", 0},
		{"changed", cm + `{a: "2"}` + "\n" + cilium + "{endpointSelector: {matchLabels: {a: b}}}\n", "CiliumNetworkPolicy changed [spec.endpointSelector] true, ConfigMap changed [data.a] false", 2},
		{"of another namespace", strings.ReplaceAll(cm, "shop", "lab") + `{a: "1"}` + "\n", "CiliumNetworkPolicy new [] true, ConfigMap new [] false", 2},
	} {
		d := ran(t, dryrun.Options{Policies: set(t, rule)}, shop+test.input)
		var got []string
		for _, n := range d.Namespaces {
			for _, o := range n.Objects {
				got = append(got, fmt.Sprintf("%s %s %v %v", o.Kind, o.Change, o.Fields, o.Unjudged))
			}
		}
		if strings.Join(got, ", ") != test.want || dryrun.ExitCode(d) != test.code {
			t.Errorf("%s: got %s, exit %d, want %s, exit %d; %+v", test.name, strings.Join(got, ", "), dryrun.ExitCode(d), test.want, test.code, d.Errors)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		summary report.DryRunSummary
		want    int
	}{
		{report.DryRunSummary{}, 0},
		{report.DryRunSummary{New: 1, Changed: 1, Opened: 1}, 0},
		{report.DryRunSummary{Closed: 1}, 1},
		{report.DryRunSummary{Closed: 1, Unjudged: 1}, 2},
		{report.DryRunSummary{Closed: 1, Errors: 1}, 2},
	} {
		if got := dryrun.ExitCode(report.DryRun{Summary: c.summary}); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.summary, got, c.want)
		}
	}
}

// Of an object in both, that of the input counts; Namespaces of State are not generated for.
func TestState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state.yaml")
	text := shop + pod("a", "app: a") + pod("b", "app: b") + policy("x", "podSelector: {}") + "---\n" + strings.Replace(shop, "shop", "lab", 1)
	if err := os.WriteFile(state, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	d := ran(t, dryrun.Options{Policies: set(t, ""), State: []string{state}}, shop+pod("a", "app: c")+policy("x", "podSelector: {matchLabels: {app: b}}"))
	if got := said(d); got != "closes Egress a b\ncloses Ingress a" || d.Summary.Namespaces != 1 || d.Summary.Pods != 2 || d.Summary.PodsClosed != 2 {
		t.Errorf("%s; %+v", got, d)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dryrun.Run(ctx, dryrun.Options{Policies: set(t, ""), Paths: []string{"-"}, Stdin: strings.NewReader(shop)}); err == nil {
		t.Error("it went on")
	}
}

func TestProgress(t *testing.T) {
	var steps []int
	ran(t, dryrun.Options{Policies: set(t, ""), Progress: func(done, total int) { steps = append(steps, done, total) }}, shop+"---\n"+strings.Replace(shop, "shop", "lab", 1))
	if !slices.Equal(steps, []int{1, 2, 2, 2}) {
		t.Errorf("%v", steps)
	}
}

// A rule that asks for pods gets them whole.
func TestRulesMayAskForPods(t *testing.T) {
	const rule = `# METADATA
# title: T
# description: D
# custom:
#   severity: low
#   kinds: [Namespace]
#   state: [Pod]
#   generates: [ConfigMap]
package sluice.own

generate contains {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": node}} if {
	some pod in sluice.state.list("Pod", input.request.object.metadata.name)
	node := pod.spec.nodeName
}
`
	d := ran(t, dryrun.Options{Policies: set(t, rule)}, shop+pod("a", "app: a")+"spec: {nodeName: one, containers: [{name: a, image: b}]}\n")
	if len(d.Namespaces) != 1 || len(d.Namespaces[0].Objects) != 1 || d.Namespaces[0].Objects[0].Name != "one" || d.Namespaces[0].Pods != 1 {
		t.Errorf("%+v", d)
	}
}
