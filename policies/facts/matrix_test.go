package facts

import (
	"net/netip"
	"path"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The matrix is what conformance tests of dataplanes probe (the list of cases
// is that of k8s.io/kubernetes/test/e2e/network/netpol): everybody in a small
// cluster calls everybody, under some policies, and the truth table says who
// gets through. Here facts say it.

// matrixNamespaces have the label team with their name, and the pods web, api
// and db, which have the label role. Each pod listens on 80, which is called
// http, and on 81, called admin.
var (
	matrixNamespaces = []string{"red", "green", "blue"}
	matrixPods       = []string{"web", "api", "db"}
	matrixNames      = map[int32]string{80: "http", 81: "admin"}
)

// matrixCase is one table. Policies are of the namespace in front of their
// spec.
type matrixCase struct {
	name     string
	policies []string // "red: {spec}"
	// tables say, for a protocol and port, which calls are blocked: "red/* >
	// green/web", as patterns of path.Match. All others get through, and a pod
	// always reaches itself. Addresses are called too: "red/* > *".
	tables map[string][]string
	labels map[string]string // "red" or "red/web": a label that differs, "role=other"
}

var matrix = []matrixCase{{
	name:   "nothing is isolated",
	tables: map[string][]string{"TCP/80": nil, "UDP/81": nil, "SCTP/80": nil},
}, {
	name:     "nobody gets in",
	policies: []string{"red: {podSelector: {}}"},
	tables:   map[string][]string{"TCP/80": {"*/* > red/*"}, "UDP/80": {"*/* > red/*"}, "SCTP/81": {"*/* > red/*"}},
}, {
	name:     "nobody gets in or out",
	policies: []string{"red: {podSelector: {}, policyTypes: [Ingress, Egress]}"},
	tables:   map[string][]string{"TCP/80": {"*/* > red/*", "red/* > */*", "red/* > *"}},
}, {
	name:     "nobody gets out",
	policies: []string{"red: {podSelector: {}, policyTypes: [Egress]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > */*", "red/* > *"}},
}, {
	name:     "one pod does not get out",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, policyTypes: [Egress]}"},
	tables:   map[string][]string{"TCP/80": {"red/web > */*", "red/web > *"}},
}, {
	name:     "in from pods of the own namespace by label",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: api}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"green/* > red/web", "blue/* > red/web", "red/db > red/web"}},
}, {
	name:     "in from every pod of the own namespace",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"green/* > red/web", "blue/* > red/web"}},
}, {
	name: "in from everybody for one pod of an isolated namespace",
	policies: []string{
		"red: {podSelector: {}}",
		"red: {podSelector: {matchLabels: {role: web}}, ingress: [{}]}",
	},
	tables: map[string][]string{"TCP/80": {"*/* > red/api", "*/* > red/db"}},
}, {
	name:     "in from all namespaces",
	policies: []string{"red: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"},
	tables:   map[string][]string{"TCP/80": nil},
}, {
	name:     "in from one other namespace",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: green}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/web", "blue/* > red/web"}},
}, {
	name:     "in from namespaces by name",
	policies: []string{"red: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: blue}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/*", "green/* > red/*"}},
}, {
	name:     "in from pods by an expression",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {matchExpressions: [{key: role, operator: In, values: [db]}]}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"green/* > red/web", "blue/* > red/web", "red/api > red/web"}},
}, {
	name:     "in from namespaces by an expression",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red, blue]}]}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/web", "blue/* > red/web"}},
}, {
	name:     "in from pods or from namespaces",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: db}}}, {namespaceSelector: {matchLabels: {team: green}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"blue/* > red/web", "red/api > red/web"}},
}, {
	name:     "in from pods that are in namespaces",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: db}}, namespaceSelector: {matchLabels: {team: green}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/web", "blue/* > red/web", "green/web > red/web", "green/api > red/web"}},
}, {
	name: "in from several pods and namespaces",
	policies: []string{`red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [
		{podSelector: {matchExpressions: [{key: role, operator: In, values: [api, db]}]}, namespaceSelector: {matchExpressions: [{key: team, operator: In, values: [green, blue]}]}}]}]}`},
	tables: map[string][]string{"TCP/80": {"red/* > red/web", "*/web > red/web"}},
}, {
	name:     "in for all pods by several selectors, none of which says anything",
	policies: []string{"red: {podSelector: {matchExpressions: [{key: role, operator: Exists}]}, ingress: [{from: [{podSelector: {}, namespaceSelector: {}}]}]}"},
	tables:   map[string][]string{"TCP/80": nil},
}, {
	name:     "in on one port",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: green}}}], ports: [{port: 81}]}]}"},
	tables: map[string][]string{
		"TCP/80": {"*/* > red/web"}, "UDP/81": {"*/* > red/web"},
		"TCP/81": {"red/* > red/web", "blue/* > red/web"},
	},
}, {
	name: "in on one port by one policy, and on another by a second",
	policies: []string{
		"red: {podSelector: {matchLabels: {role: web}}, ingress: [{ports: [{port: 80}]}]}",
		"red: {podSelector: {}, ingress: [{ports: [{port: 81}]}]}",
	},
	tables: map[string][]string{"TCP/80": {"*/* > red/api", "*/* > red/db"}, "TCP/81": nil, "UDP/80": {"*/* > red/*"}},
}, {
	name: "everything in wins over nothing in",
	policies: []string{
		"red: {podSelector: {}}", "red: {podSelector: {}, ingress: [{}]}",
	},
	tables: map[string][]string{"TCP/80": nil, "SCTP/81": nil},
}, {
	name: "everything out wins over some out",
	policies: []string{
		"red: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 81}]}]}",
		"red: {podSelector: {}, policyTypes: [Egress], egress: [{}]}",
	},
	tables: map[string][]string{"TCP/80": nil},
}, {
	name:     "in on a named port",
	policies: []string{"red: {podSelector: {}, ingress: [{ports: [{port: admin}]}]}"},
	tables:   map[string][]string{"TCP/81": nil, "TCP/80": {"*/* > red/*"}, "UDP/81": {"*/* > red/*"}},
}, {
	name:     "in from a namespace on a named port",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: green}}}], ports: [{port: http}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/web", "blue/* > red/web"}, "TCP/81": {"*/* > red/web"}},
}, {
	name:     "out on a named port",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/web > *"}, "TCP/81": {"red/web > */*", "red/web > *"}},
}, {
	name:     "in on a range of ports",
	policies: []string{"red: {podSelector: {}, ingress: [{ports: [{port: 70, endPort: 80}]}]}"},
	tables:   map[string][]string{"TCP/80": nil, "TCP/81": {"*/* > red/*"}, "UDP/80": {"*/* > red/*"}},
}, {
	name:     "out on a range of ports",
	policies: []string{"red: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 81, endPort: 90}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > */*", "red/* > *"}, "TCP/81": nil},
}, {
	name:     "every port of one protocol",
	policies: []string{"red: {podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"},
	tables:   map[string][]string{"UDP/80": nil, "UDP/81": nil, "TCP/80": {"*/* > red/*"}, "SCTP/80": {"*/* > red/*"}},
}, {
	name:     "SCTP is neither TCP nor UDP",
	policies: []string{"red: {podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 80}]}]}"},
	tables:   map[string][]string{"SCTP/80": nil, "SCTP/81": {"*/* > red/*"}, "TCP/80": {"*/* > red/*"}, "UDP/80": {"*/* > red/*"}},
}, {
	name:     "both directions in one policy",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: 80}]}], egress: [{ports: [{port: 81}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/web > */*", "red/web > *"}, "TCP/81": {"*/* > red/web"}},
}, {
	name: "what goes out does not come in",
	policies: []string{
		"green: {podSelector: {matchLabels: {role: api}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: red}}}]}]}",
		"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}",
	},
	tables: map[string][]string{"TCP/80": {
		"green/api > green/*", "green/api > blue/*", "green/api > *", "red/* > red/web", "green/* > red/web",
	}},
}, {
	name:     "out to a pod of another namespace",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: green}}, podSelector: {matchLabels: {role: db}}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/web > red/*", "red/web > blue/*", "red/web > green/web", "red/web > green/api", "red/web > *"}},
}, {
	name:     "out to the pods of a Service, which a policy knows by their labels",
	policies: []string{"red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {role: api}}}], ports: [{port: 80}]}]}"},
	tables: map[string][]string{
		"TCP/80": {"red/* > green/*", "red/* > blue/*", "red/* > red/web", "red/* > red/db", "red/* > *"},
		"TCP/81": {"red/* > */*", "red/* > *"},
	},
}, {
	name:     "out to a block of addresses",
	policies: []string{"red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/24}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > */*", "red/* > 10.0.1.1", "red/* > fd00::1"}},
}, {
	name:     "out to a block but for a part of it",
	policies: []string{"red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/23, except: [10.0.1.0/24]}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"red/* > */*", "red/* > 10.0.1.1", "red/* > fd00::1"}},
}, {
	name: "what one block excepts another allows",
	policies: []string{
		"red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/23, except: [10.0.1.0/24]}}]}]}",
		"red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.1.1/32}}]}]}",
	},
	tables: map[string][]string{"TCP/80": {"red/* > */*", "red/* > fd00::1"}},
}, {
	name:     "out to IPv6",
	policies: []string{`red: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "fd00::/64"}}]}]}`},
	tables:   map[string][]string{"TCP/80": {"red/* > */*", "red/* > 10.0.0.1", "red/* > 10.0.1.1"}},
}, {
	name:     "in from a block lets no pod in by its labels",
	policies: []string{"red: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"},
	tables:   map[string][]string{"TCP/80": {"*/* > red/*"}},
}, {
	name: "policies of pods, each for itself",
	policies: []string{
		"red: {podSelector: {matchLabels: {role: web}}, policyTypes: [Egress]}",
		"red: {podSelector: {matchLabels: {role: api}}}",
	},
	tables: map[string][]string{"TCP/80": {"red/web > */*", "red/web > *", "*/* > red/api"}},
}, {
	name:     "a pod got the label that is let in",
	policies: []string{"red: {podSelector: {matchLabels: {role: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: guest}}}]}]}"},
	labels:   map[string]string{"red/db": "role=guest"},
	tables:   map[string][]string{"TCP/80": {"green/* > red/web", "blue/* > red/web", "red/api > red/web"}},
}, {
	name:     "a pod got the label that is isolated",
	policies: []string{"red: {podSelector: {matchLabels: {role: guest}}}"},
	labels:   map[string]string{"red/db": "role=guest"},
	tables:   map[string][]string{"TCP/80": {"*/* > red/db"}},
}, {
	name:     "a namespace got the label that is let in",
	policies: []string{"red: {podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: guest}}}]}]}"},
	labels:   map[string]string{"blue": "team=guest"},
	tables:   map[string][]string{"TCP/80": {"red/* > red/*", "green/* > red/*"}},
}}

func (c matrixCase) pod(namespace, pod string) (podLabels, namespaceLabels map[string]string) {
	podLabels = map[string]string{"role": pod}
	namespaceLabels = map[string]string{"team": namespace, namespaceNameLabel: namespace}
	if key, value, found := strings.Cut(c.labels[namespace+"/"+pod], "="); found {
		podLabels[key] = value
	}
	if key, value, found := strings.Cut(c.labels[namespace], "="); found {
		namespaceLabels[key] = value
	}
	return podLabels, namespaceLabels
}

func (c matrixCase) read(t *testing.T) map[string][]*Policy {
	t.Helper()
	read := map[string][]*Policy{}
	for i, text := range c.policies {
		namespace, spec, _ := strings.Cut(text, ": ")
		np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: string(rune('a' + i))}}
		if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "\t", " ")), &np.Spec); err != nil {
			t.Fatal(err)
		}
		read[namespace] = append(read[namespace], NewPolicy(np))
	}
	return read
}

// open reports whether the policies of a pod's namespace let it talk to a peer.
func open(t *testing.T, policies []*Policy, direction string, pod map[string]string, peer point) bool {
	t.Helper()
	isolated, open := false, false
	for _, p := range policies {
		m, err := p.meaning()
		if err != nil {
			t.Fatal(err)
		}
		isolated = isolated || m.isolates[way(direction)] && m.pods.Matches(pod)
	}
	allowed, err := Allowed(policies, direction)
	if err != nil {
		t.Fatal(err)
	}
	for i := range allowed.boxes {
		b := allowed.boxes[i]
		open = open || b.pods.Matches(pod) && b.opens(&peer)
	}
	return open || !isolated
}

func (c matrixCase) calls(t *testing.T, policies map[string][]*Policy, table string) (blocked map[string]bool) {
	t.Helper()
	r, err := parsePorts(table)
	if err != nil {
		t.Fatal(err)
	}
	blocked = map[string]bool{}
	for _, from := range matrixNamespaces {
		for _, caller := range matrixPods {
			pod, home := c.pod(from, caller)
			for _, to := range matrixNamespaces {
				for _, called := range matrixPods {
					if from == to && caller == called {
						continue
					}
					other, away := c.pod(to, called)
					port := span{r, ""}
					if r.Protocol == corev1.ProtocolTCP {
						port.name = matrixNames[r.From]
					}
					out := open(t, policies[from], Egress, pod, point{peer: joined(other, away), port: port})
					in := open(t, policies[to], Ingress, other, point{peer: joined(pod, home), port: port})
					blocked[from+"/"+caller+" > "+to+"/"+called] = !out || !in
				}
			}
			for _, address := range []string{"10.0.0.1", "10.0.1.1", "fd00::1"} {
				p := point{address: netip.MustParseAddr(address), port: span{r, ""}}
				blocked[from+"/"+caller+" > "+address] = !open(t, policies[from], Egress, pod, p)
			}
		}
	}
	return blocked
}

// joined are labels as peerPods has them.
func joined(pod, namespace map[string]string) map[string]string {
	all := map[string]string{}
	for k, v := range namespace {
		all[k] = v
	}
	for k, v := range pod {
		all[podKeys+k] = v
	}
	return all
}

func TestMatrix(t *testing.T) {
	for _, c := range matrix {
		t.Run(c.name, func(t *testing.T) {
			policies := c.read(t)
			for table, patterns := range c.tables {
				for call, blocked := range c.calls(t, policies, table) {
					want := false
					for _, p := range patterns {
						matches, err := path.Match(p, call)
						if err != nil {
							t.Fatal(err)
						}
						want = want || matches
					}
					if blocked != want {
						t.Errorf("%s: %s is blocked: %t", table, call, blocked)
					}
				}
			}
		})
	}
}

// TestMatrixOfChanges goes from each table to each other: whoever gets through
// only after it makes Opened say so, and a policy by itself opens nothing.
func TestMatrixOfChanges(t *testing.T) {
	for _, old := range matrix {
		for _, updated := range matrix {
			before, after := old.read(t), updated.read(t)
			updated.labels = old.labels // the same pods
			opened := map[string]bool{}
			for _, namespace := range matrixNamespaces {
				found, err := Opened(before[namespace], after[namespace], OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				opened[namespace] = len(found.List) > 0
				if len(before[namespace]) == 0 && opened[namespace] {
					t.Errorf("%s: opens %s, which was open", updated.name, found.List[0].Text)
				}
			}
			for table := range updated.tables {
				was, is := old.calls(t, before, table), updated.calls(t, after, table)
				for call := range is {
					from, to, _ := strings.Cut(call, " > ")
					if was[call] && !is[call] && !opened[path.Dir(from)] && !opened[path.Dir(to)] {
						t.Fatalf("from %s to %s: %s on %s gets through, which is not said", old.name, updated.name, call, table)
					}
				}
			}
		}
	}
}
