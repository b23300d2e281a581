package diff

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/report"
)

// between compares two texts of manifests.
func between(t *testing.T, before, after string) report.Diff {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"old.yaml": before, "new.yaml": after} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Run(t.Context(), Options{Old: filepath.Join(dir, "old.yaml"), New: filepath.Join(dir, "new.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]report.Change{d.Opens, d.Closes} {
		for i := range list {
			list[i].File = filepath.Base(list[i].File)
		}
	}
	return d
}

func namespaced(name, labels string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {" + labels + "}}\n---\n"
}

func policy(name, spec string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " + name + ", namespace: shop}\nspec: {" + spec + "}\n---\n"
}

func told(list []report.Change) string {
	var lines []string
	for _, c := range list {
		lines = append(lines, fmt.Sprintf("%s:%d: %s %q", c.File, c.Line, c.Text, c.Relabelled))
	}
	return strings.Join(lines, "\n")
}

func TestRelabelledNamespaces(t *testing.T) {
	prod := "namespaceSelector: {matchLabels: {env: prod}}"
	from := func(peers string) string { return policy("p", "podSelector: {}, ingress: [{from: ["+peers+"]}]") }
	in := " pods in namespace data on TCP 443 (every pod in namespace data on all ports)"
	for _, c := range []struct {
		name          string
		before, after string
		opens, closes string
	}{
		{"the labels are the same", namespaced("data", "env: prod") + from("{"+prod+"}"), namespaced("data", "env: prod") + from("{"+prod+"}"), "", ""},
		{"a namespace gets the label", namespaced("data", "") + from("{"+prod+"}"), namespaced("data", "env: prod") + from("{"+prod+"}"),
			"new.yaml:8: every pod in shop may now be reached from" + in + ` "data"`, ""},
		{"a namespace loses the label", namespaced("data", "env: prod") + from("{"+prod+"}"), namespaced("data", "env: test") + from("{"+prod+"}"), "",
			"old.yaml:8: every pod in shop may no longer be reached from" + in + ` "data"`},
		{"a label that nobody asks for", namespaced("data", "") + from("{"+prod+"}"), namespaced("data", "team: a") + from("{"+prod+"}"), "", ""},
		{"a namespace comes", from("{" + prod + "}"), namespaced("data", "env: prod") + from("{"+prod+"}"), "", ""},
		{"a namespace goes", namespaced("data", "env: prod") + from("{"+prod+"}"), from("{" + prod + "}"), "", ""},
		{"its pods had that anyway", namespaced("data", "") + from("{"+prod+"}") + policy("q", "podSelector: {}, ingress: [{}]"),
			namespaced("data", "env: prod") + from("{"+prod+"}") + policy("q", "podSelector: {}, ingress: [{}]"), "", ""},
		{"by another peer, too", namespaced("data", "") + from("{"+prod+"}, {namespaceSelector: {}}"), namespaced("data", "env: prod") + from("{"+prod+"}, {namespaceSelector: {}}"), "", ""},
		{"the own namespace", namespaced("shop", "") + from("{podSelector: {}}, {"+prod+"}"), namespaced("shop", "env: prod") + from("{podSelector: {}}, {"+prod+"}"), "", ""},
		{"the policy comes to select it as well, which is told once", namespaced("data", "") + from("{podSelector: {}}"),
			namespaced("data", "env: prod") + from("{podSelector: {}}, {"+prod+"}"),
			`new.yaml:8: every pod in shop may now be reached from pods in namespaces with env=prod on TCP 443 (every pod in namespaces env=prod on all ports) ""`, ""},
		{"the policy changes as well, and that is told already", namespaced("data", "") + from(""), namespaced("data", "env: prod") + from("{"+prod+"}"), "",
			"old.yaml:8: every pod in shop may no longer be reached from 8.8.8.8 on TCP 443 (everything on all ports)" + ` ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := between(t, c.before, c.after)
			if len(d.Errors) > 0 || told(d.Opens) != c.opens || told(d.Closes) != c.closes {
				t.Errorf("opens\n%s\ncloses\n%s\nerrors %v", told(d.Opens), told(d.Closes), d.Errors)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, []byte(policy("p", "podSelector: {}")), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, Options{Old: file, New: file}); err == nil {
		t.Error("it went on")
	}
}

// cluster is a folder of 100 namespaces with 50 policies each: a default deny,
// and 49 apps that reach each other, DNS and a block of addresses.
func cluster(b *testing.B, name string, edit func(namespace, app int) string) string {
	dir := filepath.Join(b.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for ns := range 100 {
		var text strings.Builder
		fmt.Fprintf(&text, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: default-deny, namespace: ns-%d}\nspec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]\n", ns)
		for app := range 49 {
			fmt.Fprintf(&text, `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: app-%d
  namespace: ns-%d
spec:
  podSelector:
    matchLabels:
      app: app-%d
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector:
        matchLabels:
          app: app-%d
    ports:
    - port: 8080
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
    ports:
    - port: 53
      protocol: UDP
  - to:
    - ipBlock:
        cidr: %s
    ports:
    - port: 443
`, app, ns, app, (app+1)%49, edit(ns, app))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("ns-%d.yaml", ns)), []byte(text.String()), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// BenchmarkRun compares 5,000 policies in 100 namespaces with as many, of which
// none, one in ten or all have changed.
func BenchmarkRun(b *testing.B) {
	before := cluster(b, "old", func(ns, app int) string { return fmt.Sprintf("10.%d.%d.0/24", ns, app) })
	for _, every := range []int{0, 10, 1} {
		after := cluster(b, fmt.Sprintf("new-%d", every), func(ns, app int) string {
			if every > 0 && app%every == 0 {
				return fmt.Sprintf("10.%d.%d.0/23", ns, app)
			}
			return fmt.Sprintf("10.%d.%d.0/24", ns, app)
		})
		b.Run(fmt.Sprintf("one in %d changed", every), func(b *testing.B) {
			for b.Loop() {
				d, err := Run(b.Context(), Options{Old: before, New: after})
				if err != nil || len(d.Errors) > 0 || (len(d.Opens) > 0) != (every > 0) {
					b.Fatal(len(d.Opens), d.Errors, err)
				}
			}
		})
	}
}
