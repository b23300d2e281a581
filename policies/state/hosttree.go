package state

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies/facts"
)

// hostTree finds patterns of hosts that may overlap with a pattern: by labels from the last to the first, so
// that the way to a name leads through all domains that it is in. The zero hostTree is empty.
type hostTree struct {
	root     hostNode
	anywhere []*claim
	rest     []*claim
}

// hostNode is a name.
type hostNode struct {
	children map[string]*hostNode
	at       []*claim // the name itself
	below    []*claim // patterns of names below it
}

// claim is one host of an Ingress.
type claim struct {
	holder  *holder
	pattern facts.HostPattern
	host    facts.HostIdentity
}

func (n *hostNode) empty() bool { return len(n.children)+len(n.at)+len(n.below) == 0 }

func (t *hostTree) add(c *claim) {
	switch place, name := c.pattern.Place(); place {
	case facts.HostAnywhere:
		t.anywhere = append(t.anywhere, c)
	case facts.HostRest:
		t.rest = append(t.rest, c)
	default:
		node := &t.root
		for label := range labelsOf(name) {
			child := node.children[label]
			if child == nil {
				child = &hostNode{}
				if node.children == nil {
					node.children = map[string]*hostNode{}
				}
				node.children[strings.Clone(label)] = child
			}
			node = child
		}
		if place == facts.HostAt {
			node.at = append(node.at, c)
		} else {
			node.below = append(node.below, c)
		}
	}
}

func (t *hostTree) remove(c *claim) {
	switch place, name := c.pattern.Place(); place {
	case facts.HostAnywhere:
		t.anywhere = without(t.anywhere, c)
	case facts.HostRest:
		t.rest = without(t.rest, c)
	default:
		t.root.remove(slices.Collect(labelsOf(name)), c, place == facts.HostAt)
	}
}

// remove takes the claim out of the node at the end of labels, and empty nodes on the way out of the tree.
func (n *hostNode) remove(labels []string, c *claim, at bool) {
	switch {
	case len(labels) == 0 && at:
		n.at = without(n.at, c)
	case len(labels) == 0:
		n.below = without(n.below, c)
	case n.children[labels[0]] != nil:
		child := n.children[labels[0]]
		if child.remove(labels[1:], c, at); child.empty() {
			delete(n.children, labels[0])
		}
	}
}

// without is the list less one claim, in another order.
func without(claims []*claim, c *claim) []*claim {
	i := slices.Index(claims, c)
	if i < 0 {
		return claims
	}
	last := len(claims) - 1
	claims[i], claims[last] = claims[last], nil
	if last == 0 {
		return nil
	}
	return claims[:last]
}

// maxVisits bounds what one Ingress may look at, in claims: some ten milliseconds' worth. A regular expression
// counts as many.
const (
	maxVisits    = 200_000
	regexpVisits = 50
)

var errTooManyOverlaps = errors.New("the hosts overlap with too many others to be judged: name fewer hosts in one Ingress, and no wildcards or regular expressions")

// search is one walk through a tree. What it visits may overlap with the pattern; what it doesn't visit does
// not.
type search struct {
	visits int
	visit  func(*claim)
}

func (s *search) all(claims []*claim) error {
	if s.visits += len(claims); s.visits > maxVisits {
		return errTooManyOverlaps
	}
	for _, c := range claims {
		s.visit(c)
	}
	return nil
}

func (s *search) find(t *hostTree, p facts.HostPattern) error {
	place, name := p.Place()
	if err := s.all(t.anywhere); err != nil {
		return err
	}
	if place == facts.HostRest || place == facts.HostAnywhere {
		if err := s.all(t.rest); err != nil || place == facts.HostRest {
			return err
		}
		return s.tree(&t.root)
	}
	node := &t.root
	for label := range labelsOf(name) {
		if err := s.all(node.below); err != nil {
			return err
		}
		if node = node.children[label]; node == nil {
			return nil
		}
	}
	if place == facts.HostBelow {
		return s.tree(node)
	}
	err := errors.Join(s.all(node.at), s.all(node.below))
	if place == facts.HostChildren {
		for _, child := range node.children {
			if err == nil {
				err = errors.Join(s.all(child.at), s.all(child.below))
			}
		}
	}
	return err
}

// tree visits a node and all below it.
func (s *search) tree(node *hostNode) error {
	if err := errors.Join(s.all(node.at), s.all(node.below)); err != nil {
		return err
	}
	for _, child := range node.children {
		if err := s.tree(child); err != nil {
			return err
		}
	}
	return nil
}

// maxLabels is the depth of the tree. Longer names share the node of their last labels, so that a name of dots
// is no forest.
const maxLabels = 6

// labelsOf yields the labels of a name from the last to the first, as far as the tree is deep.
func labelsOf(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for depth := 0; name != "" && depth < maxLabels; depth++ {
			var label string
			if label, name = lastLabel(name); !yield(label) {
				return
			}
		}
	}
}

func lastLabel(name string) (label, rest string) {
	dot := strings.LastIndexByte(name, '.')
	return name[dot+1:], name[:max(dot, 0)]
}
