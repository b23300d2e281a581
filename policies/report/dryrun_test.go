package report

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluice-gate/sluice/policies/facts"
)

func writeDryRun(t *testing.T, format string, d DryRun, opts TextOptions) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteDryRun(&out, format, d, opts); err != nil {
		t.Fatalf("WriteDryRun(%s): %v", format, err)
	}
	return out.String()
}

// dryRuns are those that the golden files and the tests below share.
func dryRuns() map[string]DryRun {
	return map[string]DryRun{
		"empty": {}, "shop": dryRunOfShop(), "large": largeDryRun(), "hostile": hostileDryRun(),
		"unread": {Errors: []Result{{File: "a.yaml", Line: 3, Column: 4, Message: "not YAML", Action: ActionError}}, Summary: DryRunSummary{Namespaces: 2, Errors: 1}},
	}
}

// dryRunOfShop has everything once.
func dryRunOfShop() DryRun {
	change := func(text string, names ...string) PodChange {
		return PodChange{Opening: facts.Opening{Namespace: "shop", Direction: "Egress", Text: text}, Names: names}
	}
	return DryRun{
		Namespaces: []PlannedNamespace{
			{Namespace: "done", Pods: 1, Objects: []PlannedObject{{APIVersion: "v1", Kind: "ResourceQuota", Name: "pods", Policy: "quota", Change: ChangeNone}}},
			{Namespace: "shop", Pods: 5, Objects: []PlannedObject{
				{APIVersion: "cilium.io/v2", Kind: "CiliumNetworkPolicy", Name: "closed", Policy: "closed", Change: ChangeNew, Unjudged: true},
				{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Name: "dns", Policy: "namespace-default-deny", Change: ChangeMade, Fields: []string{"spec.egress", "spec.podSelector"}},
				{APIVersion: "v1", Kind: "ResourceQuota", Name: "pods", Policy: "quota", Change: ChangeNone},
			},
				Closes:      []PodChange{change("pods a, b may no longer reach 8.8.8.8:443", "a", "b")},
				Opens:       []PodChange{change("pod c may now reach 10.0.0.1:53", "c")},
				HostNetwork: []string{"node-1", "node-2", "node-3", "node-4"},
				Reported:    []Result{{Policy: "team", Action: ActionWarn, Message: "would generate ConfigMap x"}, {Policy: "own", Action: ActionAudit, Message: "would generate ConfigMap y"}},
			},
		},
		Nothing: []NothingGenerated{{"kube-system", "exempt"}, {"lab", "no policy generates anything"}, {"kube-public", "exempt"}},
		Errors:  []Result{{APIVersion: "v1", Kind: "Namespace", Name: "odd", Policy: "quota", Action: ActionError, Message: "could not judge: it failed"}},
		SkippedKinds: []SkippedKind{
			{What: "Service", Count: 2},
		},
		Summary: DryRunSummary{Namespaces: 6, Nothing: 3, Pods: 6, PodsClosed: 2, New: 1, Changed: 1, Same: 2, Closed: 1, Opened: 1, Unjudged: 1, Errors: 1, Skipped: 2},
	}
}

// largeDryRun has more of everything than the text shows.
func largeDryRun() DryRun {
	n := PlannedNamespace{Namespace: "shop"}
	d := DryRun{Summary: DryRunSummary{Namespaces: 32, Nothing: 31, New: 12, Closed: 13, Errors: 23}}
	for i := range 31 {
		d.Nothing = append(d.Nothing, NothingGenerated{fmt.Sprintf("ns-%02d", i), "exempt"})
		switch {
		case i < 12:
			n.Objects = append(n.Objects, PlannedObject{Kind: "NetworkPolicy", Name: strconv.Itoa(i), Policy: "p", Change: ChangeNew})
			fallthrough
		case i < 13:
			n.Closes = append(n.Closes, PodChange{Opening: facts.Opening{Text: "every pod in shop may no longer reach 10.0.0." + strconv.Itoa(i)}})
			fallthrough
		case i < 23:
			d.Errors = append(d.Errors, Result{File: "a.yaml", Line: i + 1, Column: 1, Message: "bad", Action: ActionError})
		}
	}
	d.Namespaces = []PlannedNamespace{n}
	return d
}

func hostileDryRun() DryRun {
	const bad = "a\x1b[2J\n::error::x\n##vso[x]"
	return DryRun{
		Namespaces: []PlannedNamespace{{
			Namespace: bad, Pods: 1,
			Objects:     []PlannedObject{{Kind: bad, Name: bad, Policy: bad, Change: ChangeNew, Fields: []string{bad}}},
			Closes:      []PodChange{{Opening: facts.Opening{Text: bad}, Names: []string{bad}}},
			HostNetwork: []string{bad},
			Reported:    []Result{{Policy: bad, Action: ActionWarn, Message: bad}},
		}},
		Nothing: []NothingGenerated{{bad, "exempt"}, {"b", bad}}, Errors: []Result{{File: bad, Message: bad, Action: ActionError}},
		SkippedKinds: []SkippedKind{{What: bad, Count: 1}},
	}
}

func TestDryRunShowsNothingHostile(t *testing.T) {
	for _, format := range DiffFormats() {
		out := writeDryRun(t, format, hostileDryRun(), TextOptions{})
		for line := range strings.Lines(out) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##vso[") || strings.Contains(line, "\x1b") {
				t.Errorf("%s has %q", format, line)
			}
		}
	}
}

func TestDryRunIsBounded(t *testing.T) {
	out := writeDryRun(t, FormatText, largeDryRun(), TextOptions{})
	for _, want := range []string{"\nand 3 more errors\n", "    new      and 2 more\n", "    closes   and 3 more\n", "ns-09 and 21 more)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestWriteDryRunChangesNothing(t *testing.T) {
	for name, d := range dryRuns() {
		for _, format := range DiffFormats() {
			writeDryRun(t, format, d, TextOptions{})
		}
		if diff := cmp.Diff(dryRuns()[name], d, cmpopts.IgnoreUnexported(facts.Opening{})); diff != "" {
			t.Errorf("%s: -before +after:\n%s", name, diff)
		}
	}
	if err := WriteDryRun(&bytes.Buffer{}, FormatSARIF, DryRun{}, TextOptions{}); err == nil {
		t.Error("there is no such format")
	}
	if err := WriteDryRun(brokenPipe{}, FormatText, DryRun{}, TextOptions{}); !errors.Is(err, errBrokenPipe) {
		t.Errorf("got error %v, want one that wraps the writer's", err)
	}
}

func TestPodsText(t *testing.T) {
	for want, names := range map[string][]string{
		"pod a": {"a"}, "pods a, b": {"a", "b"}, "pods a, b, c": {"a", "b", "c"}, "pods a, b, c and 1 more": {"a", "b", "c", "d"},
	} {
		if got := PodsText(names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
