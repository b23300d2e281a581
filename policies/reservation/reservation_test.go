package reservation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/facts"
	"github.com/sluice-gate/sluice/policies/state"
)

// known is the state of one replica.
type known struct{ *state.Index }

func (k known) ClaimHosts(claim state.HostClaim, expires time.Time) ([]facts.HostConflict, func(), error) {
	return k.Index.ClaimHosts(claim, expires, func(class string) (string, error) { return engine.ControllerOf(k, class) })
}

// server is an API server that counts writes, and refuses requests while failing is set.
type server struct {
	client.Client
	writes  atomic.Int64
	failing atomic.Bool
	onGet   atomic.Pointer[func()] // happens while an object is read
}

func newServer() *server {
	s := &server{}
	fail := func() error {
		if s.failing.Load() {
			return errors.New("the API server is not there")
		}
		return nil
	}
	s.Client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme.Scheme).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if err := fail(); err != nil {
				return err
			}
			if meanwhile := s.onGet.Load(); meanwhile != nil {
				(*meanwhile)()
			}
			return c.Get(ctx, key, o, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			s.writes.Add(1)
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			s.writes.Add(1)
			return c.Update(ctx, o, options...)
		},
	})
	return s
}

func (s *server) leases(t *testing.T) map[string]coordinationv1.Lease {
	t.Helper()
	var list coordinationv1.LeaseList
	if err := s.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]coordinationv1.Lease{}
	for _, lease := range list.Items {
		out[lease.Annotations[hostLeases().aboutAnnotation]] = lease
	}
	return out
}

// replica is a Claimer with its own state and a clock that tests turn.
type replica struct {
	*Claimer
	state *state.Index
	clock *atomic.Int64
}

func newReplica(t testing.TB, s *server) replica {
	t.Helper()
	r := replica{state: state.NewIndex(), clock: &atomic.Int64{}}
	r.clock.Store(time.Now().UnixNano())
	c, err := New(Options{Client: s, Namespace: "sluice-system", Hosts: known{r.state}})
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return time.Unix(0, r.clock.Load()) }
	r.Claimer = c
	return r
}

func (r replica) turn(by time.Duration) { r.clock.Add(int64(by)) }

func claimOf(namespace, class string, hosts ...string) state.HostClaim {
	c := state.HostClaim{HostClaims: facts.HostClaims{Namespace: namespace, Name: "web", Class: class}, UID: types.UID("uid-" + namespace), Generation: 1}
	for _, host := range hosts {
		via := facts.ViaRule
		if alias, is := strings.CutPrefix(host, "alias "); is {
			host, via = alias, facts.ViaAlias
		}
		c.Hosts = append(c.Hosts, facts.Host{Host: host, Via: via})
	}
	return c
}

func (r replica) must(t *testing.T, want bool, claim state.HostClaim) {
	t.Helper()
	if got, err := r.Claim(t.Context(), claim); err != nil || got != want {
		t.Errorf("%s asks for %.200s: got %v, %v, want %v", claim.Namespace, fmt.Sprint(claim.Hosts), got, err, want)
	}
}

// stored lets the replica see the Ingress a/web.
func (r replica) stored(t *testing.T, uid string, generation int, host string) {
	t.Helper()
	object, err := engine.FromGo(map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
		"metadata": map[string]any{"namespace": "a", "name": "web", "uid": uid, "generation": generation},
		"spec":     map[string]any{"ingressClassName": "nginx", "rules": []any{map[string]any{"host": host}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.state.Put(object)
}

func TestAcrossReplicas(t *testing.T) {
	for _, c := range []struct {
		what, classA, a, classB, b string
		both                       bool
	}{
		{"one host", "nginx", "shop.example.com", "nginx", "shop.example.com", false},
		{"two hosts of a domain", "nginx", "shop.example.com", "nginx", "blog.example.com", true},
		{"a wildcard and its name", "nginx", "*.example.com", "nginx", "shop.example.com", false},
		{"a name and its wildcard", "nginx", "shop.example.com", "nginx", "*.example.com", false},
		{"another class", "nginx", "shop.example.com", "traefik", "shop.example.com", true},
		{"no class", "", "shop.example.com", "traefik", "shop.example.com", false},
		{"a deep wildcard and a name", "nginx", "alias *.example.com", "nginx", "a.b.example.com", false},
		{"a name and a deep wildcard", "nginx", "a.b.example.com", "nginx", "alias *.example.com", false},
		{"a deep wildcard elsewhere", "nginx", "a.b.example.com", "nginx", "alias *.example.org", true},
		{"every host and a name", "nginx", "", "nginx", "shop.example.com", false},
		{"a name and every host", "nginx", "shop.example.com", "nginx", "", false},
		{"two deep wildcards", "nginx", "alias *.example.com", "nginx", "alias *.a.example.com", false},
		{"a host without domain", "nginx", "shop", "nginx", "shop", false},
		{"a single label and every host", "nginx", "shop", "nginx", "", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newServer()
			first, second := newReplica(t, s), newReplica(t, s)
			first.must(t, true, claimOf("a", c.classA, c.a))
			second.must(t, c.both, claimOf("b", c.classB, c.b))
			second.must(t, !c.both, claimOf("a", c.classB, c.b)) // the winner's own namespace
		})
	}
}

func TestTheStateShowsWhoCameFirst(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", "*.example.com"))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	found, err := second.state.HostConflicts(claimOf("b", "nginx", "shop.example.com").HostClaims, nil)
	if err != nil || len(found) != 1 || found[0].Other.Host != "*.example.com" || !found[0].Other.Pending {
		t.Errorf("%+v, %v", found, err)
	}
	writes := s.writes.Load()
	second.must(t, false, claimOf("b", "nginx", "blog.example.com"))
	if s.writes.Load() != writes {
		t.Error("a host that this replica knows to be taken was asked for again")
	}
}

func TestExpiry(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	second.turn(DefaultLife - time.Second)
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	second = newReplica(t, s)
	second.turn(DefaultLife + time.Second)
	second.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	first = newReplica(t, s)
	first.turn(DefaultLife + time.Second)
	first.must(t, false, claimOf("a", "nginx", "shop.example.com"))
}

// A host is free again as soon as this replica has seen what became of its holder.
func TestSettledByTheState(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	second.stored(t, "uid-a", 1, "shop.example.com")
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	second.stored(t, "uid-a", 2, "moved.example.com")
	second.must(t, true, claimOf("b", "nginx", "shop.example.com"))

	first.must(t, true, claimOf("a", "nginx", "other.example.com"))
	third := newReplica(t, s)
	third.stored(t, "uid-a", 1, "other.example.com")
	third.state.Delete(schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}, "a", "web")
	third.must(t, true, claimOf("b", "nginx", "other.example.com"))
}

// A host that was given up twice by Ingresses of one name is free, too.
func TestSettledAgain(t *testing.T) {
	r := newReplica(t, newServer())
	for _, uid := range []string{"one", "two"} {
		again := claimOf("a", "nginx", "shop.example.com")
		again.UID = types.UID(uid)
		r.must(t, true, again)
		r.stored(t, uid, 1, "shop.example.com")
		r.state.Delete(schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}, "a", "web")
	}
	r.must(t, true, claimOf("b", "nginx", "shop.example.com"))
}

// What this replica sees while it waits for the Lease may settle a reservation: because the Ingress is stored, and
// not because its host is free.
func TestTheHolderIsSeenWhileTheLeaseIsRead(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	s.onGet.Store(new(func() {
		second.stored(t, "uid-a", 1, "shop.example.com")
		second.stored(t, "uid-a", 2, "shop.example.com") // with another path
	}))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com"))
	s.onGet.Store(nil)
	first.must(t, true, claimOf("b", "nginx", "other.example.com")) // nothing is left that is in its way
	if _, kept := s.leases(t)[".example.com"]; !kept {
		t.Error("the reservation of the winner is gone")
	}
}

// Two creates of one name have two uids. What becomes of one says nothing of the other, which may still be stored.
func TestOfTwoCreatesOfOneNameOneIsSettled(t *testing.T) {
	for _, sameReplica := range []bool{true, false} {
		s := newServer()
		first, second, third := newReplica(t, s), newReplica(t, s), newReplica(t, s)
		slow, quick := claimOf("a", "nginx", "shop.example.com"), claimOf("a", "nginx", "shop.example.com")
		quick.UID = "uid-quick"
		first.must(t, true, slow)
		if !sameReplica {
			first = second
		}
		first.must(t, true, quick)
		for _, r := range []replica{first, third} {
			r.stored(t, "uid-quick", 1, "shop.example.com")
			r.state.Delete(schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}, "a", "web")
			r.must(t, false, claimOf("b", "nginx", "shop.example.com"))
		}
		third = newReplica(t, s)
		third.turn(DefaultLife + time.Second)
		third.must(t, true, claimOf("b", "nginx", "shop.example.com"))
	}
}

func TestRefusedRequestsKeepNothing(t *testing.T) {
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", "taken.example.org"))
	second.must(t, false, claimOf("b", "nginx", "shop.example.com", "taken.example.org", "www.example.net"))
	first.must(t, true, claimOf("c", "nginx", "shop.example.com", "www.example.net"))
	if leases := s.leases(t); len(leases) != 3 {
		t.Errorf("%d leases", len(leases))
	}
	// What the same Ingress had before stays.
	second.must(t, true, claimOf("d", "nginx", "x.example.io"))
	second.must(t, false, claimOf("d", "nginx", "x.example.io", "taken.example.org"))
	first.must(t, false, claimOf("e", "nginx", "x.example.io"))
}

func TestTheAPIServerIsGone(t *testing.T) {
	s := newServer()
	r := newReplica(t, s)
	s.failing.Store(true)
	free, err := r.Claim(t.Context(), claimOf("a", "nginx", "shop.example.com"))
	if free || err == nil || !strings.Contains(err.Error(), "reserve hosts: the API server is not there") {
		t.Errorf("%v, %v", free, err)
	}
	s.failing.Store(false)
	r.must(t, true, claimOf("b", "nginx", "shop.example.com"))
}

func TestALeaseThatCanNotBeRead(t *testing.T) {
	s := newServer()
	r := newReplica(t, s)
	r.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	lease := s.leases(t)[".example.com"]
	lease.Annotations[hostLeases().entriesAnnotation] = "?"
	if err := s.Client.Update(t.Context(), &lease); err != nil {
		t.Fatal(err)
	}
	_, err := r.Claim(t.Context(), claimOf("b", "nginx", "blog.example.com"))
	if err == nil || !strings.Contains(err.Error(), "the Lease sluice-system/"+lease.Name+" can't be read, delete it") {
		t.Errorf("%v", err)
	}
}

func TestBounds(t *testing.T) {
	r := newReplica(t, newServer())
	var err error
	for i := 0; i < 5000 && err == nil; i++ {
		claim := claimOf(fmt.Sprintf("n%d", i), "nginx", strings.Repeat("a", 50)+fmt.Sprint(i)+".example.org", strings.Repeat("b", 50)+fmt.Sprint(i)+".example.org")
		_, err = r.Claim(t.Context(), claim)
	}
	if err == nil || !strings.Contains(err.Error(), "more than can be reserved") {
		t.Errorf("many Ingresses in one domain: %v", err)
	}
}

// An Ingress with hosts in many domains takes one Lease, which everybody reads.
func TestManyDomains(t *testing.T) {
	var hosts []string
	for i := range 1000 {
		hosts = append(hosts, fmt.Sprintf("www.example-%d.com", i))
	}
	s := newServer()
	first, second := newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", hosts...))
	if leases := s.leases(t); len(leases) != 1 || s.writes.Load() != 1 {
		t.Errorf("%d Leases, %d writes", len(leases), s.writes.Load())
	}
	second.must(t, false, claimOf("b", "nginx", "www.example-999.com"))
	second.must(t, true, claimOf("b", "nginx", "blog.example-999.com"))
	second.must(t, false, claimOf("c", "nginx", hosts[:maxKeys+1]...))

	s = newServer()
	first, second = newReplica(t, s), newReplica(t, s)
	first.must(t, true, claimOf("a", "nginx", hosts[:maxKeys]...))
	second.must(t, false, claimOf("b", "nginx", hosts...))
	second.must(t, true, claimOf("b", "nginx", hosts[maxKeys:]...))
}

// One namespace can't fill a Lease that others need too.
func TestOneNamespaceLeavesRoom(t *testing.T) {
	r := newReplica(t, newServer())
	var err error
	for i := 0; i < 5000 && err == nil; i++ {
		var hosts []string
		for j := range 20 {
			hosts = append(hosts, fmt.Sprintf("%s-%d-%d.example.org", strings.Repeat("a", 40), i, j))
		}
		claim := claimOf("greedy", "nginx", hosts...)
		claim.Name = fmt.Sprint("web-", i)
		_, err = r.Claim(t.Context(), claim)
	}
	if err == nil || !strings.Contains(err.Error(), "Ingresses of namespace greedy were admitted below .example.org within a few minutes, more than can be reserved: try again later") {
		t.Errorf("many Ingresses of one namespace: %v", err)
	}
	r.must(t, true, claimOf("other", "nginx", "shop.example.org"))
	var hosts []string
	for i := range 5000 {
		hosts = append(hosts, fmt.Sprintf("shop-%d.example.net", i))
	}
	if _, err := r.Claim(t.Context(), claimOf("large", "nginx", hosts...)); err == nil || !strings.Contains(err.Error(), "the Ingress takes 5000 hosts below .example.net at once, more than can be reserved: add them in several steps") {
		t.Errorf("one Ingress: %v", err)
	}
	r.must(t, true, claimOf("large", "nginx", hosts[:1500]...))
}

func TestSweep(t *testing.T) {
	s := newServer()
	r := newReplica(t, s)
	r.must(t, true, claimOf("a", "nginx", "shop.example.com"))
	r.turn(time.Minute)
	r.must(t, true, claimOf("a", "nginx", "shop.example.org"))
	foreign := &coordinationv1.Lease{}
	foreign.Name, foreign.Namespace = "leader", "sluice-system"
	if err := s.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	r.turn(DefaultLife - 30*time.Second)
	if err := r.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	leases := s.leases(t)
	if _, live := leases[".example.org"]; !live || len(leases) != 2 {
		t.Errorf("left: %v", leases)
	}
}

// Whatever the order in which requests come to two replicas, no two of them have one name.
func TestManyRequestsAtOnce(t *testing.T) {
	hosts := []string{"shop.example.com", "*.example.com", "alias *.example.com", "", "alias .com"}
	for range 40 {
		s := newServer()
		replicas := []replica{newReplica(t, s), newReplica(t, s)}
		var won atomic.Int64
		var group sync.WaitGroup
		for i, host := range hosts {
			group.Go(func() {
				free, err := replicas[i%2].Claim(t.Context(), claimOf(fmt.Sprint("n", i), "nginx", host))
				if err != nil {
					t.Error(err)
				}
				if free {
					won.Add(1)
				}
			})
		}
		group.Wait()
		if won.Load() > 1 {
			t.Fatalf("%d winners", won.Load())
		}
	}
}

// memory is an API server that takes no time.
type memory struct {
	client.Client
	leases map[string]*coordinationv1.Lease
}

func (m *memory) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if lease := m.leases[key.Name]; lease != nil {
		lease.DeepCopyInto(o.(*coordinationv1.Lease))
		return nil
	}
	return apierrors.NewNotFound(coordinationv1.Resource("leases"), key.Name)
}

func (m *memory) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	m.leases[o.GetName()] = o.(*coordinationv1.Lease).DeepCopy()
	return nil
}

func (m *memory) Update(ctx context.Context, o client.Object, _ ...client.UpdateOption) error {
	return m.Create(ctx, o)
}

// BenchmarkClaim is what a reservation costs beside the API server's time for a read, a write and a read;
// test/hosts measures that.
func BenchmarkClaim(b *testing.B) {
	c, err := New(Options{Client: &memory{leases: map[string]*coordinationv1.Lease{}}, Namespace: "sluice-system", Hosts: known{state.NewIndex()}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		free, err := c.Claim(context.Background(), claimOf(fmt.Sprint("n", i), "nginx", fmt.Sprintf("shop.example-%d.com", i)))
		if err != nil || !free {
			b.Fatal(free, err)
		}
	}
}
