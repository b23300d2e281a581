package facts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// inShop are policies of the namespace shop, as "name: spec".
func inShop(t testing.TB, texts ...string) []*Policy {
	t.Helper()
	var list []*Policy
	for _, text := range texts {
		name, spec, _ := strings.Cut(text, ": ")
		np := policy(name, nil)
		if err := yaml.UnmarshalStrict([]byte(spec), &np.Spec); err != nil {
			t.Fatal(err)
		}
		list = append(list, NewPolicy(np))
	}
	return list
}

const isolated = "deny: {podSelector: {}, policyTypes: [Ingress, Egress]}"

func out(name, rules string) string {
	return name + ": {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [" + rules + "]}"
}

func TestOpened(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []string
		want          []string // field and text
	}{
		{"nothing", nil, nil, nil},
		{"the first policy", nil, []string{out("web", "{}")}, nil},
		{"the second", []string{isolated}, []string{isolated, out("web", "{}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8:443 (everything on all ports)"}},
		{"addresses were open", []string{isolated, out("web", `{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}]}`)}, []string{isolated, out("web", "{}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach pods in any namespace on TCP 443 (every pod of every namespace on all ports)"}},
		{"pods were open", []string{isolated, out("web", `{to: [{namespaceSelector: {}}]}`)}, []string{isolated, out("web", "{}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8:443 (every address on all ports)"}},
		{"everything was open", []string{isolated, out("all", "{}")}, []string{isolated, out("all", "{}"), out("web", "{to: [{podSelector: {}}]}")}, nil},
		{"other spelling", []string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}")},
			[]string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/9}}]}, {to: [{ipBlock: {cidr: 10.128.0.0/9}}]}")}, nil},
		{"an except is gone", []string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16]}}]}")},
			[]string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}")},
			[]string{"spec.egress[0].to[0] pods app=web in shop may now reach 10.0.0.1:443 (10.0.0.0/8 on all ports)"}},
		{"an except that another policy fills", []string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16]}}]}"), out("more", "{to: [{ipBlock: {cidr: 10.0.0.0/15}}]}")},
			[]string{out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}"), out("more", "{to: [{ipBlock: {cidr: 10.0.0.0/15}}]}")}, nil},
		{"IPv6", []string{isolated}, []string{isolated, out("web", `{to: [{ipBlock: {cidr: "::/0"}}]}`)},
			[]string{"spec.egress[0].to[0] pods app=web in shop may now reach [2001:4860:4860::8888]:443 (::/0 on all ports)"}},
		{"a name for a number", []string{isolated, out("web", "{ports: [{port: 443}]}")}, []string{isolated, out("web", "{ports: [{port: https}]}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8 on TCP https (everything on TCP https)"}},
		{"a number for a name", []string{isolated, out("web", "{ports: [{port: https}]}")}, []string{isolated, out("web", "{ports: [{port: 443}]}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8:443 (everything on TCP 443)"}},
		{"a name beside its own", []string{isolated, out("web", "{ports: [{port: https}]}")}, []string{isolated, out("web", "{ports: [{port: https}, {port: https}]}")}, nil},
		{"a name of another protocol", []string{isolated, out("web", "{ports: [{port: dns}]}")}, []string{isolated, out("web", "{ports: [{port: dns, protocol: UDP}]}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8 on UDP dns (everything on UDP dns)"}},
		{"a name where every port is open", []string{isolated, out("web", "{ports: [{port: 1, endPort: 999}, {port: 1000, endPort: 65535}]}")},
			[]string{isolated, out("web", "{ports: [{port: 1, endPort: 999}, {port: 1000, endPort: 65535}, {port: https}]}")}, nil},
		{"two protocols", []string{isolated}, []string{isolated, out("web", "{ports: [{port: 53}, {port: 53, protocol: UDP}, {port: 53, protocol: SCTP}, {port: 80}]}")},
			[]string{"spec.egress[0] pods app=web in shop may now reach 8.8.8.8:80 (everything on TCP 53, 80)", "spec.egress[0] pods app=web in shop may now reach 8.8.8.8:53/UDP (everything on UDP, SCTP 53)"}},
		{"only some of its pods were isolated", []string{"api: {podSelector: {matchLabels: {tier: api}}, policyTypes: [Egress]}"},
			[]string{"api: {podSelector: {matchLabels: {tier: api}}, policyTypes: [Egress]}", out("web", "{to: [{podSelector: {}}]}")},
			[]string{"spec.egress[0].to[0] pods app=web,tier=api in shop may now reach pods in namespace shop on TCP 443 (every pod in namespace shop on all ports)"}},
		{"peers that can't be", []string{isolated}, []string{isolated, out("web", "{to: [{podSelector: {matchExpressions: [{key: a, operator: Exists}, {key: a, operator: DoesNotExist}]}}]}")}, nil},
		{"pods that can't be", []string{isolated}, []string{isolated, "none: {podSelector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}, ingress: [{}]}"}, nil},
		{"rules that policyTypes switches off", []string{isolated}, []string{isolated, "off: {podSelector: {}, policyTypes: [Ingress], egress: [{}]}"}, nil},
		{"more pods", []string{isolated, out("web", "{}")}, []string{isolated, "web: {podSelector: {}, policyTypes: [Egress], egress: [{}]}"},
			[]string{"spec.egress[0] pods without labels in shop may now reach 8.8.8.8:443 (everything on all ports)"}},
		{"namespaces by label", []string{isolated}, []string{isolated, out("web", "{to: [{namespaceSelector: {matchLabels: {env: prod}}, podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}")},
			[]string{"spec.egress[0].to[0] pods app=web in shop may now reach pods app=db in namespaces with env=prod on TCP 5432 (pods app=db in namespaces env=prod on TCP 5432)"}},
		{"the last policy goes", []string{isolated}, nil, []string{
			"metadata.name every pod in shop may now be reached from 8.8.8.8 on TCP 443 (no policy isolates them for ingress any more)",
			"metadata.name every pod in shop may now reach 8.8.8.8:443 (no policy isolates them for egress any more)"}},
		{"two that isolated the same go", []string{isolated, "also: {podSelector: {}, policyTypes: [Egress]}"}, []string{"in: {podSelector: {}}"},
			[]string{"metadata.name every pod in shop may now reach 8.8.8.8:443 (no policy isolates them for egress any more)"}},
		{"one that let everything through goes", []string{out("web", "{}")}, nil, nil},
		{"other pods are selected", []string{out("web", "")}, []string{strings.Replace(out("web", ""), "app: web", "app: api", 1)},
			[]string{"spec.podSelector pods app=web in shop may now reach 8.8.8.8:443 (no policy isolates them for egress any more)"}},
		{"another direction", []string{out("web", "")}, []string{"web: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}"},
			[]string{"spec.policyTypes pods app=web in shop may now reach 8.8.8.8:443 (no policy isolates them for egress any more)"}},
		{"several policies isolate what one did", []string{"all: {podSelector: {}, policyTypes: [Egress]}"}, []string{
			"with: {podSelector: {matchExpressions: [{key: a, operator: Exists}]}, policyTypes: [Egress]}",
			"without: {podSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}, policyTypes: [Egress]}"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Opened(inShop(t, c.before...), inShop(t, c.after...), OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, o := range got.List {
				said = append(said, o.Field+" "+o.Text)
			}
			if !slices.Equal(said, c.want) || got.More {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestOpenedByOne(t *testing.T) {
	deny, web := inShop(t, isolated)[0], inShop(t, out("web", "{}"))[0]
	elsewhere := NewPolicy(selecting(policy("all", nil), &metav1.LabelSelector{}))
	elsewhere.Namespace = "lab"
	nameless := func(p *Policy) *Policy {
		np := p.DeepCopy()
		np.Name, np.GenerateName = "", "a-"
		return NewPolicy(np)
	}
	for _, c := range []struct {
		name     string
		old, new *Policy
		others   []*Policy
		opens    int
	}{
		{"nothing", nil, nil, []*Policy{deny}, 0},
		{"its stored copy is not another", nil, web, []*Policy{web}, 0},
		{"another namespace does not isolate", nil, web, []*Policy{elsewhere}, 0},
		{"another policy does", nil, web, []*Policy{elsewhere, deny}, 1},
		{"none of them has a name yet", nil, nameless(web), []*Policy{nameless(deny)}, 1},
		{"nothing changes", web, web, []*Policy{deny}, 0},
		{"it goes, and another remains", web, nil, []*Policy{deny, web}, 0},
		{"it goes, and nothing remains", deny, nil, []*Policy{deny}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := OpenedBy(c.old, c.new, NewPolicies(c.others), OpenOptions{})
			if err != nil || len(got.List) != c.opens {
				t.Errorf("%d openings, want %d: %+v, %v", len(got.List), c.opens, got, err)
			}
		})
	}
}

// What nobody can read tells nothing of pods that it can't be about.
func TestOpenedByWithoutTheMeaningOfOthers(t *testing.T) {
	of := func(app, cidr string) *Policy {
		return inShop(t, fmt.Sprintf("%s: {podSelector: {matchLabels: {app: %s}}, egress: [{to: [{ipBlock: {cidr: %s}}]}]}", app+"-other", app, cidr))[0]
	}
	web := inShop(t, "web: {podSelector: {matchLabels: {app: web}}, egress: [{}]}")[0]
	pods := inShop(t, "odd: {podSelector: {matchLabels: {app: '-'}}, egress: [{}]}")[0]
	for _, c := range []struct {
		name  string
		other *Policy
		fails bool
	}{
		{"a block of the same pods", of("web", "10.0.0.0/33"), true},
		{"a block of other pods", of("api", "10.0.0.0/33"), false},
		{"pods", pods, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := OpenedBy(nil, web, NewPolicies([]*Policy{c.other}), OpenOptions{}); (err != nil) != c.fails {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOpenedIsLimited(t *testing.T) {
	web := out("web", "{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: team-a}}}, {podSelector: {}}], ports: [{port: 443}]}")
	for _, c := range []struct {
		name    string
		allowed []Allowance
		want    []string // fields
	}{
		{"nothing is allowed", nil, []string{"to[0]", "to[1]", "to[2]"}},
		{"everything is", []Allowance{{Direction: Egress}}, nil},
		{"the other direction is", []Allowance{{Direction: Ingress}}, []string{"to[0]", "to[1]", "to[2]"}},
		{"a namespace is", []Allowance{{Namespaces: []string{"lab", "s?op"}}}, nil},
		{"another namespace is", []Allowance{{Namespaces: []string{"lab", "sho"}}}, []string{"to[0]", "to[1]", "to[2]"}},
		{"addresses are", []Allowance{{Peers: &AllowedPeers{CIDRs: []string{"10.0.0.0/9"}}}, {Peers: &AllowedPeers{CIDRs: []string{"10.128.0.0/9"}}}}, []string{"to[1]", "to[2]"}},
		{"not all of the addresses are", []Allowance{{Peers: &AllowedPeers{CIDRs: []string{"10.0.0.0/9"}}}}, []string{"to[0]", "to[1]", "to[2]"}},
		{"namespaces are", []Allowance{{Peers: &AllowedPeers{Namespaces: []string{"team-*"}}}}, []string{"to[0]", "to[2]"}},
		{"namespaces by name are", []Allowance{{Peers: &AllowedPeers{Namespaces: []string{"team-a", "shop"}}}}, []string{"to[0]"}},
		{"the own namespace is", []Allowance{{Peers: &AllowedPeers{OwnNamespace: true}}}, []string{"to[0]", "to[1]"}},
		{"all pods are", []Allowance{{Peers: &AllowedPeers{Namespaces: []string{"*"}}}}, []string{"to[0]"}},
		{"ports are", []Allowance{{Ports: []string{"80", "TCP/440-450"}}}, nil},
		{"ports of another protocol are", []Allowance{{Ports: []string{"UDP/443"}}}, []string{"to[0]", "to[1]", "to[2]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Opened(inShop(t, isolated), inShop(t, isolated, web), OpenOptions{Allowed: c.allowed})
			var fields []string
			for _, o := range got.List {
				fields = append(fields, strings.TrimPrefix(o.Field, "spec.egress[0]."))
			}
			if err != nil || !slices.Equal(fields, c.want) {
				t.Errorf("got %v, want %v, %v", fields, c.want, err)
			}
		})
	}
}

// TestAllowanceText checks that what an opening says would allow it does.
func TestAllowanceText(t *testing.T) {
	web := out("web", `{to: [{ipBlock: {cidr: "fd00::/8", except: ["fd00::/9"]}}, {namespaceSelector: {}}, {podSelector: {}}, {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: a}}}],
		ports: [{port: 443}, {port: http}, {port: 53, protocol: UDP}, {port: 1, endPort: 9, protocol: SCTP}]}, {}`)
	web = strings.ReplaceAll(web, "\n\t\t", " ")
	got, err := Opened(inShop(t, isolated), inShop(t, isolated, web), OpenOptions{})
	if err != nil || len(got.List) != 13 {
		t.Fatalf("%d openings, %v", len(got.List), err)
	}
	var allowed []Allowance
	for _, o := range got.List {
		var a Allowance
		if err := yaml.UnmarshalStrict([]byte(o.Allowance), &a); err != nil {
			t.Fatalf("%s: %v", o.Allowance, err)
		}
		allowed = append(allowed, a)
		only, err := Opened(inShop(t, isolated), inShop(t, isolated, web), OpenOptions{Allowed: []Allowance{a}})
		if err != nil || slices.ContainsFunc(only.List, func(p Opening) bool { return p.Text == o.Text }) {
			t.Errorf("%s does not allow %s, %v", o.Allowance, o.Text, err)
		}
	}
	if got, err := Opened(inShop(t, isolated), inShop(t, isolated, web), OpenOptions{Allowed: allowed}); err != nil || len(got.List) > 0 {
		t.Errorf("not allowed: %+v, %v", got, err)
	}
}

func TestOpenedErrors(t *testing.T) {
	for _, c := range []struct {
		policy  string
		allowed Allowance
		want    string
	}{
		{policy: "p: {podSelector: {matchExpressions: [{key: a, operator: Maybe}]}}", want: `NetworkPolicy "p": spec.podSelector.matchExpressions[0].operator: expected In, NotIn, Exists or DoesNotExist, not "Maybe"`},
		{policy: "p: {podSelector: {}, egress: [{to: [{}]}]}", want: `NetworkPolicy "p": spec.egress[0].to[0]: expected an ipBlock, a namespaceSelector or a podSelector`},
		{policy: "p: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10/8}}]}]}", want: `NetworkPolicy "p": spec.ingress[0].from[0].ipBlock.cidr: expected a CIDR such as 10.0.0.0/8 or fd00::/8, not "10/8"`},
		{policy: "p: {podSelector: {}, ingress: [{ports: [{port: 70000}]}]}", want: `NetworkPolicy "p": spec.ingress[0].ports[0].port: expected 1 to 65535, not 70000`},
		{allowed: Allowance{Direction: "Out"}, want: `allowed[0].direction: expected Ingress or Egress, not "Out"`},
		{allowed: Allowance{Namespaces: []string{"a", "[a"}}, want: `allowed[0].namespaces[1]: "[a" is no pattern: syntax error in pattern`},
		{allowed: Allowance{Peers: &AllowedPeers{Namespaces: []string{"[a"}}}, want: `allowed[0].peers.namespaces[0]: "[a" is no pattern: syntax error in pattern`},
		{allowed: Allowance{Peers: &AllowedPeers{CIDRs: []string{"10.0.0.0"}}}, want: `allowed[0].peers.cidrs[0]: cidr: expected a CIDR such as 10.0.0.0/8 or fd00::/8, not "10.0.0.0"`},
		{allowed: Allowance{Ports: []string{"80", "0"}}, want: `allowed[0].ports[1]: expected ports such as 443, UDP/53 or TCP/8000-8999, not "0"`},
		{allowed: Allowance{Ports: []string{"ICMP/8"}}, want: `allowed[0].ports[0]: expected ports such as 443, UDP/53 or TCP/8000-8999, not "ICMP/8"`},
		{allowed: Allowance{Ports: []string{"90-80"}}, want: `allowed[0].ports[0]: expected ports such as 443, UDP/53 or TCP/8000-8999, not "90-80"`},
	} {
		after := inShop(t, isolated)
		if c.policy != "" {
			after = inShop(t, c.policy)
		}
		for _, sides := range [][2][]*Policy{{nil, after}, {after, nil}} {
			if _, err := Opened(sides[0], sides[1], OpenOptions{Allowed: []Allowance{c.allowed}}); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		}
	}
}

// hard are policies that each isolate a corner of a random formula over 40
// keys, and let all through: whether they are all pods nobody finds out in time.
func hard() []*Policy {
	r := rand.New(rand.NewPCG(1, 2))
	var list []*Policy
	for i := range 400 {
		var reqs []metav1.LabelSelectorRequirement
		for range 3 {
			reqs = append(reqs, pick(r, exists, missing)(fmt.Sprintf("k%d", r.IntN(40))))
		}
		np := selecting(policy(fmt.Sprintf("o%d", i), nil), expressions(reqs...))
		np.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}}
		list = append(list, NewPolicy(np))
	}
	return list
}

func TestOpenedGivesUp(t *testing.T) {
	corners := hard()
	open := inShop(t, "open: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}, {from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 80}]}]}")[0]
	others := append(corners, inShop(t, "deny: {podSelector: {}}")...)
	got, err := OpenedBy(nil, open, NewPolicies(others), OpenOptions{})
	want := "every pod in shop may now be reached from every pod in namespace shop on all ports: too complicated to tell whether it is new"
	if err != nil || len(got.List) != 2 || !got.List[0].Uncertain || got.List[0].Text != want {
		t.Errorf("got %+v, %v", got, err)
	}
	// What is simple to tell is told beside.
	both := inShop(t, "open: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{}]}")[0]
	got, err = OpenedBy(nil, both, NewPolicies(append(others, inShop(t, "out: {podSelector: {}, policyTypes: [Egress]}")...)), OpenOptions{})
	if err != nil || len(got.List) != 2 || !got.List[0].Uncertain || got.List[1].Uncertain {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = OpenedBy(others[400], nil, NewPolicies(others), OpenOptions{})
	want = "every pod in shop may now be reached from everything on all ports: too complicated to tell whether it is new"
	if err != nil || len(got.List) != 1 || !got.List[0].Uncertain || got.List[0].Text != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := OpenedBy(nil, open, NewPolicies(others), OpenOptions{Max: 1}); err != nil || len(got.List) != 1 || !got.More {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAbout(t *testing.T) {
	opened, err := Opened(inShop(t, isolated), inShop(t, isolated, out("web", "{to: [{ipBlock: {cidr: 10.0.0.1/32}}]}")), OpenOptions{})
	if err != nil || len(opened.List) != 1 {
		t.Fatalf("%+v, %v", opened, err)
	}
	const rest = " may now reach 10.0.0.1:443 (10.0.0.1/32 on all ports)"
	o := opened.List[0]
	if about := o.About("pod web-1"); about.Text != "pod web-1"+rest || about.Pods != "pod web-1" {
		t.Errorf("%+v", about)
	}
	if o.Text != "pods app=web in shop"+rest {
		t.Errorf("it is changed: %+v", o)
	}
}
