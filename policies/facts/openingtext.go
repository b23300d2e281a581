package facts

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// About is o told of others than the pods of a selector, such as "pod web-1": who is what Pods says, and the subject of
// Text.
func (o Opening) About(who string) Opening {
	o.Text = who + strings.TrimPrefix(o.Text, o.subject())
	o.Pods = who
	return o
}

// subject is what Text begins with.
func (o *Opening) subject() string { return o.Pods + " in " + o.Namespace }

// sentence is the Text of o.
func (o *Opening) sentence(example point, closing bool) string {
	may := "may now"
	if closing {
		may = "may no longer"
	}
	reach := " reach "
	if o.Direction == Ingress {
		reach = " be reached from "
	}
	begin := o.subject() + " " + may + reach
	if o.Uncertain {
		return begin + o.granted() + ": too complicated to tell whether it is new"
	}
	text, reason := example.text(o.Direction), o.reason(closing)
	if text == reason {
		return begin + text
	}
	return begin + text + " (" + reason + ")"
}

// reason is why o is so.
func (o *Opening) reason(closing bool) string {
	direction := strings.ToLower(o.Direction)
	switch {
	case o.Unisolated && closing:
		return "they become isolated for " + direction
	case o.Unisolated:
		return "no policy isolates them for " + direction + " any more"
	}
	return o.granted()
}

// granted is the peer with the ports.
func (o *Opening) granted() string {
	switch {
	case o.Ports == "all" && o.Protocol == "any":
		return o.Peer + " on all ports"
	case o.Ports == "all":
		return o.Peer + " on all " + o.Protocol + " ports"
	case o.Protocol == "any":
		return o.Peer + " on port " + o.Ports + " of any protocol"
	}
	return o.Peer + " on " + o.Protocol + " " + o.Ports
}

// text is the peer and port of p: 8.8.8.8:443 as what is reached.
func (p *point) text(direction string) string {
	if p.peer != nil {
		return p.peerText() + " on " + string(p.port.Protocol) + " " + p.port.text()
	}
	if direction == Ingress || p.port.name != "" {
		return p.address.String() + " on " + string(p.port.Protocol) + " " + p.port.text()
	}
	text := netip.AddrPortFrom(p.address, uint16(p.port.From)).String()
	if p.port.Protocol != corev1.ProtocolTCP {
		text += "/" + string(p.port.Protocol)
	}
	return text
}

func (p *point) peerText() string {
	pod, namespace := map[string]string{}, map[string]string{}
	for key, value := range p.peer {
		if label, is := strings.CutPrefix(key, podKeys); is {
			pod[label] = value
		} else {
			namespace[key] = value
		}
	}
	name := namespace[namespaceNameLabel]
	delete(namespace, namespaceNameLabel)
	pods := labelsText(pod)
	if len(pod) == 0 {
		pods = "pods"
	}
	switch labels := strings.TrimPrefix(labelsText(namespace), "pods "); {
	case !p.anyName:
		return pods + " in namespace " + name
	case len(namespace) > 0:
		return pods + " in namespaces with " + labels
	}
	return pods + " in any namespace"
}

// labelsText names pods by labels.
func labelsText(labels map[string]string) string {
	if len(labels) == 0 {
		return "pods without labels"
	}
	parts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, key+"="+labels[key])
	}
	return "pods " + short(strings.Join(parts, ","))
}

// selectorText names the pods that a selector selects.
func selectorText(s *metav1.LabelSelector) string {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return "every pod"
	}
	return "pods " + short(metav1.FormatLabelSelector(s))
}

// short keeps a text within a line.
func short(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// peerText is the field and the meaning of a peer.
func (g *grants) peerText(i int, namespace string) (field, text string) {
	index := g.peers[i].index
	if index < 0 {
		return g.rule.field(), "everything"
	}
	p := &g.rule.peers[index]
	field = g.rule.peerField(index)
	if b := p.IPBlock; b != nil {
		return field, blockText(b)
	}
	pods := "every pod"
	if p.PodSelector != nil {
		pods = selectorText(p.PodSelector)
	}
	return field, pods + namespacesText(p.NamespaceSelector, namespace)
}

func blockText(b *networkingv1.IPBlock) string {
	switch len(b.Except) {
	case 0:
		return b.CIDR
	case 1:
		return b.CIDR + " except " + b.Except[0]
	}
	return fmt.Sprintf("%s except %d blocks", b.CIDR, len(b.Except))
}

func namespacesText(s *metav1.LabelSelector, own string) string {
	switch {
	case s == nil:
		return " in namespace " + own
	case len(s.MatchLabels)+len(s.MatchExpressions) == 0:
		return " of every namespace"
	case len(s.MatchLabels) == 1 && len(s.MatchExpressions) == 0 && s.MatchLabels[namespaceNameLabel] != "":
		return " in namespace " + s.MatchLabels[namespaceNameLabel]
	}
	return " in namespaces " + short(metav1.FormatLabelSelector(s))
}

// spansText writes the ports of spans of one protocol, as portsText does, then
// names.
func spansText(list []opened) string {
	var ranges []PortRange
	var names []string
	for _, o := range list {
		if o.ports.name == "" {
			ranges = append(ranges, o.ports.PortRange)
		} else {
			names = append(names, o.ports.name)
		}
	}
	var parts []string
	if len(ranges) > 0 {
		parts = append(parts, portsText(mergePorts(ranges)))
	}
	return strings.Join(append(parts, sortedSet(names)...), ", ")
}
