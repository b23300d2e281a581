package state

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
)

// ingress is an Ingress with hosts and, with "~" in front, names in server-alias; "" is a rule without host.
func ingress(t testing.TB, namespace, name, class string, hosts ...string) engine.Document {
	t.Helper()
	var rules []any
	var aliases []string
	for _, host := range hosts {
		if alias, is := strings.CutPrefix(host, "alias "); is {
			aliases = append(aliases, alias)
			continue
		}
		rules = append(rules, map[string]any{"host": host})
	}
	spec := map[string]any{"rules": rules}
	if class != "" {
		spec["ingressClassName"] = class
	}
	document, err := engine.FromGo(map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
		"metadata": map[string]any{"namespace": namespace, "name": name, "uid": namespace + "-" + name, "generation": 1,
			"annotations": map[string]any{"nginx.ingress.kubernetes.io/server-alias": strings.Join(aliases, " ")}}})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func conflicts(t testing.TB, x *Index, object engine.Document) string {
	t.Helper()
	claims, err := engine.HostClaims(x, object)
	if err != nil {
		t.Fatal(err)
	}
	found, err := x.HostConflicts(claims, controllerIn(x))
	if err != nil {
		t.Fatal(err)
	}
	return showConflicts(found)
}

func controllerIn(x *Index) func(string) (string, error) {
	return func(class string) (string, error) { return engine.ControllerOf(x, class) }
}

func showConflicts(found []facts.HostConflict) string {
	var out []string
	for _, c := range found {
		text := fmt.Sprintf("%s: %s/%s %s", c.Host, c.Other.Namespace, c.Other.Name, c.Other.Host)
		if c.More > 0 {
			text += fmt.Sprintf(" +%d", c.More)
		}
		if c.Other.Pending {
			text += " pending"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestHostConflicts(t *testing.T) {
	x := NewIndex()
	x.Put(ingress(t, "crm", "portal", "nginx", "portal.example.com", "a.example.com"))
	x.Put(ingress(t, "crm", "admin", "nginx", "portal.example.com"))
	x.Put(ingress(t, "old", "classless", "", "old.example.com"))
	x.Put(ingress(t, "outer", "wild", "traefik", "*.apps.example.com", "alias b.example.com"))
	for _, c := range []struct{ what, namespace, class, host, want string }{
		{"same host", "lab", "nginx", "Portal.Example.com.", "portal.example.com: crm/admin portal.example.com +1"},
		{"same namespace", "crm", "nginx", "portal.example.com", ""},
		{"another class", "lab", "traefik", "portal.example.com", ""},
		{"no class", "lab", "", "a.example.com", "a.example.com: crm/portal a.example.com"},
		{"no class there", "lab", "any", "old.example.com", "old.example.com: old/classless old.example.com"},
		{"wildcard there", "lab", "traefik", "x.apps.example.com", "x.apps.example.com: outer/wild *.apps.example.com"},
		{"below the wildcard", "lab", "traefik", "x.y.apps.example.com", ""},
		{"wildcard here", "lab", "nginx", "*.example.com", "*.example.com: crm/admin portal.example.com +2"},
		{"an alias that Traefik doesn't read", "lab", "traefik", "b.example.com", ""},
		{"every host", "lab", "nginx", "", ": crm/admin portal.example.com +2"},
		{"free", "lab", "nginx", "free.example.com", ""},
	} {
		if got := conflicts(t, x, ingress(t, c.namespace, "new", c.class, c.host)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
	x.Put(ingress(t, "crm", "portal", "nginx", "moved.example.com"))
	x.Delete(ingressKind, "crm", "admin")
	if got := conflicts(t, x, ingress(t, "lab", "new", "nginx", "portal.example.com", "a.example.com")); got != "" {
		t.Errorf("after update and delete: %s", got)
	}
}

// The tree finds what a comparison with every host finds.
func TestHostTreeAgreesWithComparingAll(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	label := func() string { return []string{"a", "b", "c"}[random.IntN(3)] }
	host := func() facts.Host {
		labels := []string{label()}
		for range random.IntN(8) {
			labels = append(labels, label())
		}
		h := facts.Host{Host: strings.Join(labels, "."), Via: facts.ViaAlias}
		switch random.IntN(12) {
		case 0, 1:
			h = facts.Host{Host: "*." + h.Host, Via: facts.ViaRule}
		case 2:
			h.Host = "*." + h.Host
		case 3:
			h.Host = "." + h.Host
		case 4:
			h.Host += ".*"
		case 5:
			h.Host = `~^a\d?\.` + strings.ReplaceAll(h.Host, ".", `\.`) + "$"
		case 6:
			if random.IntN(5) == 0 {
				h = facts.Host{Via: []string{facts.ViaRule, facts.ViaDefaultBackend}[random.IntN(2)]}
			}
		}
		return h
	}
	for range 200 {
		var tree hostTree
		var all []*claim
		for range 40 {
			h := host()
			c := &claim{pattern: h.Pattern(), host: h.Identity()}
			all = append(all, c)
			tree.add(c)
		}
		for _, c := range all[20:] {
			tree.remove(c)
		}
		all = all[:20]
		for range 40 {
			h := host()
			var got []*claim
			s := search{visit: func(c *claim) {
				if h.Pattern().Overlaps(c.pattern) {
					got = append(got, c)
				}
			}}
			if err := s.find(&tree, h.Pattern()); err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if h.Pattern().Overlaps(c.pattern) != slices.Contains(got, c) {
					t.Fatalf("%v and %v: found %v", h.Identity(), c.host, slices.Contains(got, c))
				}
			}
		}
		for _, c := range all {
			tree.remove(c)
		}
		if !tree.root.empty() || len(tree.anywhere)+len(tree.rest) > 0 {
			t.Fatal("something is left of an empty tree")
		}
	}
}

func TestLookingUpHostsIsBounded(t *testing.T) {
	x := NewIndex()
	var names []string
	for i := range 5000 {
		names = append(names, fmt.Sprintf("n%d.example.com", i))
	}
	x.Put(ingress(t, "crm", "many", "nginx", names...))
	var wildcards []string
	for i := range 60 {
		wildcards = append(wildcards, fmt.Sprintf(`alias ~^%dx?\.example\.com$`, i))
	}
	claims, err := engine.HostClaims(x, ingress(t, "lab", "greedy", "nginx", wildcards...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.HostConflicts(claims, controllerIn(x)); err == nil {
		t.Error("300,000 comparisons with regular expressions were made")
	}
}

func TestOverlay(t *testing.T) {
	now := time.Unix(1000, 0)
	x := NewIndex()
	x.hosts.now = func() time.Time { return now }
	claim := func(object engine.Document) (string, func()) {
		t.Helper()
		claims, err := engine.HostClaims(x, object)
		if err != nil {
			t.Fatal(err)
		}
		found, release, err := x.ClaimHosts(HostClaim{HostClaims: claims, UID: types.UID(object.Get("metadata", "uid").Text()), Generation: 1},
			now.Add(time.Minute), controllerIn(x))
		if err != nil {
			t.Fatal(err)
		}
		return showConflicts(found), release
	}
	first, second := ingress(t, "a", "x", "nginx", "*.example.com"), ingress(t, "b", "x", "nginx", "shop.example.com")
	got, release := claim(first)
	if got != "" {
		t.Fatalf("a free host: %s", got)
	}
	const taken = "shop.example.com: a/x *.example.com pending"
	if got, _ := claim(second); got != taken {
		t.Errorf("claimed: %q", got)
	}
	if got := conflicts(t, x, second); got != taken {
		t.Errorf("looked up: %q", got)
	}
	release()
	release()
	if got := conflicts(t, x, second); got != "" {
		t.Errorf("released: %q", got)
	}
	claim(first)
	now = now.Add(time.Minute)
	if got := conflicts(t, x, second); got != "" {
		t.Errorf("expired: %q", got)
	}
	claim(first)
	x.Put(first)
	if len(x.hosts.pending) != 0 {
		t.Error("observed, and still pending")
	}
	if got := conflicts(t, x, second); got != strings.TrimSuffix(taken, " pending") {
		t.Errorf("observed: %q", got)
	}
	x.Delete(ingressKind, "a", "x")
	if got := conflicts(t, x, second); got != "" || !x.HostsSettled(settled("a")) {
		t.Errorf("deleted: %q", got)
	}
	claim(ingress(t, "c", "x", "nginx", "c.example.com"))
	x.Put(ingress(t, "c", "x", "nginx", "other.example.com")) // of the same generation: the claim may yet come true
	if got := conflicts(t, x, ingress(t, "b", "x", "nginx", "c.example.com")); got == "" || x.HostsSettled(settled("c")) {
		t.Error("a claim was dropped though nobody knows what became of it")
	}
	now = now.Add(time.Hour)
	claim(second)
	if len(x.hosts.queue) != 1 || len(x.hosts.pending) != 1 {
		t.Errorf("expired claims are kept: %d", len(x.hosts.queue))
	}
}

// An alias that is taken away and put back changes no generation: what was stored before says nothing of what was admitted.
func TestAClaimIsSettledByALaterVersion(t *testing.T) {
	x := NewIndex()
	stored := func(version string) engine.Document {
		object, err := engine.FromGo(map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
			"metadata": map[string]any{"namespace": "a", "name": "x", "uid": "a-x", "generation": 1, "resourceVersion": version},
			"spec":     map[string]any{"ingressClassName": "nginx", "rules": []any{map[string]any{"host": "shop.example.com"}}}})
		if err != nil {
			t.Fatal(err)
		}
		return object
	}
	claim := settled("a")
	claim.Class, claim.ResourceVersion, claim.Hosts = "nginx", "6", []facts.Host{{Host: "shop.example.com", Via: facts.ViaRule}}
	x.Put(stored("5"))
	if _, _, err := x.ClaimHosts(claim, time.Now().Add(time.Minute), controllerIn(x)); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"5", "6"} {
		if x.Put(stored(version)); x.HostsShown(claim) || len(x.hosts.pending) != 1 {
			t.Errorf("settled by version %s", version)
		}
	}
	if x.Put(stored("7")); !x.HostsShown(claim) || len(x.hosts.pending) != 0 {
		t.Error("not settled by what was admitted")
	}
}

func settled(namespace string) HostClaim {
	return HostClaim{HostClaims: facts.HostClaims{Namespace: namespace, Name: "x"}, UID: types.UID(namespace + "-x"), Generation: 1}
}

func TestOneOfManyClaimsWins(t *testing.T) {
	x := NewIndex()
	won := make(chan string, 64)
	for i := range 64 {
		go func() {
			host := "shop.example.com"
			if i%2 == 0 {
				host = "*.example.com"
			}
			claims := facts.HostClaims{Namespace: fmt.Sprint(i), Name: "x", Hosts: []facts.Host{{Host: host, Via: facts.ViaRule}}}
			found, _, err := x.ClaimHosts(HostClaim{HostClaims: claims}, time.Now().Add(time.Hour), controllerIn(x))
			if err != nil || len(found) > 0 {
				won <- ""
				return
			}
			won <- claims.Namespace
		}()
	}
	winners := 0
	for range 64 {
		if <-won != "" {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}

// raw is what an API server holds of an Ingress of 1.5 KB.
func rawIngress(t testing.TB, i int) *observed {
	t.Helper()
	host := fmt.Sprintf("shop-%d.team-%d.example.com", i, i%100)
	paths := make([]any, 10)
	for j := range paths {
		paths[j] = map[string]any{"path": fmt.Sprintf("/v%d", j), "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "shop", "port": map[string]any{"number": 8080}}}}
	}
	object := unstructuredIngress(fmt.Sprintf("team-%d", i%100), fmt.Sprintf("shop-%d", i))
	object.Object["spec"] = map[string]any{"ingressClassName": "nginx", "tls": []any{map[string]any{"hosts": []any{host}, "secretName": "shop-tls"}},
		"rules": []any{map[string]any{"host": host, "http": map[string]any{"paths": paths}}}}
	o, err := (&watched{kind: ingressKind}).observe(object)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestMemoryOfTenThousandIngresses keeps the figure in the documentation honest.
func TestMemoryOfTenThousandIngresses(t *testing.T) {
	const n, limit = 10_000, 32 << 20
	w := &watched{kind: ingressKind, cluster: &Cluster{Index: NewIndex()}}
	before := heap()
	objects := make([]any, n)
	for i := range objects {
		objects[i] = rawIngress(t, i)
	}
	if err := w.Replace(objects, ""); err != nil {
		t.Fatal(err)
	}
	used := heap() - before
	t.Logf("10,000 Ingresses of %d bytes take %.1f MiB", len(rawIngress(t, 1).raw), float64(used)/(1<<20))
	if used > limit {
		t.Errorf("they take %d MiB, more than %d", used>>20, limit>>20)
	}
	runtime.KeepAlive(w)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkHostConflicts is the look-up among few and among many Ingresses.
func BenchmarkHostConflicts(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := &watched{kind: ingressKind, cluster: &Cluster{Index: NewIndex()}}
			for i := range n {
				if err := w.Add(rawIngress(b, i)); err != nil {
					b.Fatal(err)
				}
			}
			claims, err := engine.HostClaims(w.cluster.Index, ingress(b, "lab", "new", "nginx", "new.team-1.example.com", "*.new.example.com"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if found, err := w.cluster.Index.HostConflicts(claims, controllerIn(w.cluster.Index)); err != nil || len(found) > 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkPut is an object more in a namespace that has many.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := NewIndex()
			objects := make([]engine.Document, n)
			for i := range objects {
				objects[i] = ingress(b, "shop", fmt.Sprintf("s%d", i), "nginx", fmt.Sprintf("s%d.example.com", i))
				x.Put(objects[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				x.Put(objects[i%n])
			}
		})
	}
}
