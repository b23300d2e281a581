package facts

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// group are hits that a person fixes at one place.
type group struct {
	order     [2]int
	family    string
	overlap   bool
	uncertain bool
	alone     bool // exceeds without other policies
}

func (g group) compare(h group) int {
	return cmp.Or(
		slices.Compare(g.order[:], h.order[:]),
		strings.Compare(g.family, h.family),
		number(g.overlap)-number(h.overlap),
		number(g.uncertain)-number(h.uncertain),
		number(h.alone)-number(g.alone),
	)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// findings turns the hits into as few results as say the same.
func (w *width) findings() []WideEgress {
	ports := map[group][]portHit{}
	for _, p := range w.hits {
		for _, h := range p.hits {
			g := group{h.order, h.family, h.overlap, h.uncertain, len(h.with) == 0}
			ports[g] = append(ports[g], portHit{p.ports, h})
		}
	}
	groups := make([]group, 0, len(ports))
	for g := range ports {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, group.compare)
	var found []WideEgress
	for _, g := range groups {
		found = append(found, summarize(ports[g])...)
	}
	return found
}

// portHit is one hit on an interval of ports.
type portHit struct {
	ports PortRange
	hit   hit
}

// summarize makes one result of the hits of a group for each list of ports:
// protocols with the same ports share one.
func summarize(hits []portHit) []WideEgress {
	byProtocol := map[corev1.Protocol][]PortRange{}
	for _, h := range hits {
		byProtocol[h.ports.Protocol] = append(byProtocol[h.ports.Protocol], h.ports)
	}
	var texts []string
	sharing := map[string][]corev1.Protocol{}
	for _, p := range protocols {
		if len(byProtocol[p]) == 0 {
			continue
		}
		text := portsText(mergePorts(byProtocol[p]))
		if sharing[text] == nil {
			texts = append(texts, text)
		}
		sharing[text] = append(sharing[text], p)
	}
	found := make([]WideEgress, 0, len(texts))
	for _, text := range texts {
		f := WideEgress{Protocol: protocolsText(sharing[text]), Ports: text}
		f.describe(hits, sharing[text])
		found = append(found, f)
	}
	return found
}

func protocolsText(list []corev1.Protocol) string {
	if len(list) == len(protocols) {
		return "any"
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// describe fills in what the hits on the protocols say: the widest reach with
// its witness, and all policies.
func (f *WideEgress) describe(hits []portHit, on []corev1.Protocol) {
	var widest *hit
	for i := range hits {
		h := &hits[i].hit
		if !slices.Contains(on, hits[i].ports.Protocol) {
			continue
		}
		f.With = append(f.With, h.with...)
		if widest == nil || h.reach.Cmp(widest.reach) > 0 {
			widest = h
		}
	}
	f.Field, f.Family, f.Reach = widest.field, widest.family, widest.reach.describe(widest.family)
	f.Overlap, f.Uncertain, f.Witness = widest.overlap, widest.uncertain, widest.witness
	f.With = append([]string{}, sortedSet(f.With)...) // [] in Rego, not null
	if f.Witness == nil {
		f.Witness = map[string]string{}
	}
}
