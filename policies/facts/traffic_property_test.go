package facts

import (
	"math/rand/v2"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// inWorld are the pods, peers and ports of the world that t has, without named
// ports.
func inWorld(t Traffic) [16]openTo {
	var world [16]openTo
	for i := range t.boxes {
		b := t.boxes[i]
		if b.ports.name != "" {
			continue
		}
		var set peerSet
		for j, p := range worldPeers {
			pt := point{port: b.ports}
			if p.address.IsValid() {
				pt.address = p.address
			} else {
				pt.peer = map[string]string{}
				for k, v := range p.namespace {
					pt.peer[k] = v
				}
				for k, v := range p.pod {
					pt.peer[podKeys+k] = v
				}
			}
			if b.opens(&pt) {
				set |= 1 << j
			}
		}
		for pod, labels := range worldPods {
			for i, protocol := range protocols {
				for j, n := range worldPorts {
					if b.pods.Matches(labels) && b.ports.Protocol == protocol && b.ports.From <= n && n <= b.ports.To {
						world[pod].numbers[i][j] |= set
					}
				}
			}
		}
	}
	return world
}

func TestTrafficAgainstWorlds(t *testing.T) {
	forSeeds(t, 3000, func(t *testing.T, r *rand.Rand) {
		var sets [2]Traffic
		var worlds [2][16]openTo
		for i := range sets {
			var list []*networkingv1.NetworkPolicy
			for range 1 + r.IntN(3) {
				list = append(list, randomTraffic(r, "p"))
			}
			var err error
			if sets[i], err = Allowed(prepared(list), Egress); err != nil {
				t.Fatal(err)
			}
			for pod := range worldPods {
				for _, e := range evaluations(list, Egress) {
					if e.isolates[pod] {
						worlds[i][pod].unite(&e.all)
					}
				}
				worlds[i][pod].names = [3][2]peerSet{}
			}
			if got := inWorld(sets[i]); got != worlds[i] {
				t.Fatalf("allowed: got %v, want %v", got, worlds[i])
			}
		}
		a, b := sets[0], sets[1]
		minus, exact := a.Minus(b)
		var more, both [16]openTo
		for pod := range worldPods {
			both[pod] = worlds[0][pod]
			both[pod].unite(&worlds[1][pod])
			for i := range protocols {
				for j := range worldPorts {
					more[pod].numbers[i][j] = worlds[0][pod].numbers[i][j] &^ worlds[1][pod].numbers[i][j]
				}
			}
		}
		if got := inWorld(minus); got != more || !exact {
			t.Errorf("difference: got %v, want %v", got, more)
		}
		if got := inWorld(a.Union(b)); got != both {
			t.Errorf("union: got %v, want %v", got, both)
		}
		verdict, example := a.Subset(b)
		if (verdict == Yes) != minus.IsEmpty() || verdict == Unknown {
			t.Errorf("subset is %s, and the difference empty: %t", verdict, minus.IsEmpty())
		}
		if w, found := minus.Witness(); found && (w.Protocol == "" || example.Protocol == "") {
			t.Error("an example has no protocol")
		}
		if verdict, _ := minus.Subset(a); verdict != Yes {
			t.Errorf("the difference is in the first: %s", verdict)
		}
		if left, _ := a.Minus(a); !left.IsEmpty() {
			t.Errorf("something is left of what was all taken away: %+v", left)
		}
	})
}
