package facts

import (
	"fmt"
	"strings"
)

// WideRange is a family in which a list of source ranges lets in more public
// addresses than the limit.
type WideRange struct {
	Family string `json:"family"` // "IPv4" or "IPv6"
	Reach  string `json:"reach"`  // such as "33,554,432 public addresses"
	// Index is the range that contributes most, -1 if the list is empty.
	Index int `json:"index"`
}

// WideRanges judges the union of a load balancer's source ranges, at most one
// result per family, IPv4 first. An empty list lets everything in. Blanks
// around a range are dropped, as kube-proxy and the cloud providers do. The
// error names the element, "[2]: …", and its value.
func WideRanges(cidrs []string, limits Limits) ([]WideRange, error) {
	var set BlockSet
	if len(cidrs) == 0 {
		set.AddEverything()
	}
	most, index := Reach{}, map[string]int{IPv4: -1, IPv6: -1}
	for i, c := range cidrs {
		ranges, err := blockRanges(strings.TrimSpace(c), nil)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		set.addRanges(ranges)
		r := publicReach(ranges)
		if r.IPv4.Cmp(most.IPv4) > 0 {
			most.IPv4, index[IPv4] = r.IPv4, i
		}
		if r.IPv6.Cmp(most.IPv6) > 0 {
			most.IPv6, index[IPv6] = r.IPv6, i
		}
	}
	reach := set.PublicAddresses()
	over4, over6 := limits.Exceeds(reach)
	var wide []WideRange
	if over4 {
		wide = append(wide, WideRange{Family: IPv4, Reach: reach.IPv4.describe(IPv4), Index: index[IPv4]})
	}
	if over6 {
		wide = append(wide, WideRange{Family: IPv6, Reach: reach.IPv6.describe(IPv6), Index: index[IPv6]})
	}
	return wide, nil
}
