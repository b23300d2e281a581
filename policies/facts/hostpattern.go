package facts

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// HostPattern is the set of names that a host of an Ingress stands for. The zero HostPattern is every name.
type HostPattern struct {
	form hostForm
	// text is the name of an exact form, the domain below which the names are of a one-label or deep form and
	// of a regular expression ("" if it can't be told), and what the names begin with of a prefix form.
	text string
	apex bool           // a deep form with the domain itself
	re   *regexp.Regexp // of a regular expression; nil for one that isn't read, which may match any name below text
}

type hostForm uint8

const (
	formEvery    hostForm = iota // a rule without host
	formRest                     // a default backend: what no rule names
	formExact                    // shop.example.com
	formOneLabel                 // *.example.com in a rule: one label, by the API
	formDeep                     // *.example.com and .example.com in server-alias: any number of labels, by nginx
	formPrefix                   // shop.* in server-alias
	formRegexp                   // ~… in server-alias
)

// Bounds of the regular expressions that are read, in memory and time. Counted repetitions make an expression
// larger than its text. Where an Ingress has more expressions, they may together match any name.
const (
	maxRegexp  = 256 // bytes
	maxRegexps = 32
)

// Pattern is what h stands for. A default backend takes only what no rule names: it shares names with other
// default backends and with rules without host, not with a host.
func (h Host) Pattern() HostPattern {
	switch {
	case h.Via == ViaDefaultBackend:
		return HostPattern{form: formRest}
	case h.Host == "" || h.Host == "*":
		return HostPattern{form: formEvery}
	case strings.HasPrefix(h.Host, "~"):
		return regexpPattern(h.Host[1:])
	}
	domain, wildcard := strings.CutPrefix(h.Host, "*.")
	below, dotted := strings.CutPrefix(h.Host, ".")
	beginning, open := strings.CutSuffix(h.Host, "*")
	switch alias := h.Via == ViaAlias; {
	case !strings.Contains(h.Host, "*") && !dotted:
		return HostPattern{form: formExact, text: h.Host}
	case wildcard && !strings.Contains(domain, "*") && alias:
		return HostPattern{form: formDeep, text: domain}
	case wildcard && !strings.Contains(domain, "*"):
		return HostPattern{form: formOneLabel, text: domain}
	case alias && dotted && !strings.Contains(below, "*"):
		return HostPattern{form: formDeep, text: below, apex: true}
	case alias && open && strings.HasSuffix(beginning, ".") && !strings.ContainsAny(beginning, "*"):
		return HostPattern{form: formPrefix, text: beginning}
	}
	return HostPattern{form: formEvery} // nothing that the API or nginx takes
}

// regexpPattern reads a regular expression as nginx does: without regard to case, anchored only where it says
// so. Where nginx's dialect has more than Go's, the pattern may match any name.
func regexpPattern(text string) HostPattern {
	p := HostPattern{form: formRegexp}
	if len(text) > maxRegexp {
		return p
	}
	text = "(?i)" + text
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return p
	}
	if _, domain, found := strings.Cut(literalEnd(parsed), "."); found {
		p.text = domain
	}
	if !strings.Contains(text, "{") {
		p.re, _ = regexp.Compile(text) // what can be parsed can be compiled
	}
	return p
}

// literalEnd is the text with which all matches of an expression end that is anchored at the end; "" if that
// can't be told.
func literalEnd(re *syntax.Regexp) string {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	n := len(re.Sub)
	if re.Op != syntax.OpConcat || n < 2 || re.Sub[n-1].Op != syntax.OpEndText || re.Sub[n-2].Op != syntax.OpLiteral {
		return ""
	}
	return strings.ToLower(string(re.Sub[n-2].Rune))
}

// Overlaps tells whether some name is in both patterns. It may say so of a regular expression that shares no
// name with another pattern that is no exact name, never the other way round.
func (p HostPattern) Overlaps(q HostPattern) bool {
	if p.form > q.form {
		p, q = q, p
	}
	switch p.form {
	case formEvery:
		return true
	case formRest:
		return q.form == formRest
	case formExact:
		return q.matches(p.text)
	case formOneLabel:
		return q.overlapsOneLabel(p.text)
	case formDeep:
		return q.form == formPrefix || q.text == "" || q.text == p.text || isBelow(q.text, p.text) || isBelow(p.text, q.text)
	case formPrefix:
		return q.form == formRegexp || strings.HasPrefix(p.text, q.text) || strings.HasPrefix(q.text, p.text)
	}
	return p.text == "" || q.text == "" || p.text == q.text || isBelow(p.text, q.text) || isBelow(q.text, p.text)
}

// matches tells whether a name is in a pattern that is no less specific than an exact one.
func (p HostPattern) matches(name string) bool {
	switch p.form {
	case formExact:
		return p.text == name
	case formOneLabel:
		_, parent, _ := strings.Cut(name, ".")
		return parent == p.text
	case formDeep:
		return isBelow(name, p.text) || p.apex && name == p.text
	case formPrefix:
		return strings.HasPrefix(name, p.text)
	}
	return (p.text == "" || isBelow(name, p.text)) && (p.re == nil || p.re.MatchString(name))
}

// overlapsOneLabel tells whether the pattern holds some name of one label below domain.
func (p HostPattern) overlapsOneLabel(domain string) bool {
	switch p.form {
	case formOneLabel:
		return p.text == domain
	case formPrefix:
		_, rest, _ := strings.Cut(p.text, ".")
		return strings.HasPrefix(domain, rest)
	}
	_, parent, _ := strings.Cut(p.text, ".")
	return p.text == "" || p.text == domain || isBelow(domain, p.text) || p.apex && parent == domain
}

// isBelow tells whether name has further labels in front of domain.
func isBelow(name, domain string) bool {
	return len(name) > len(domain) && name[len(name)-len(domain)-1] == '.' && strings.HasSuffix(name, domain)
}

// IsRegexp tells whether comparing names with the pattern takes the time of a regular expression.
func (p HostPattern) IsRegexp() bool { return p.form == formRegexp }

// Place is where a pattern stands among the names: at a name, below a domain, or in no one place.
func (p HostPattern) Place() (at HostPlace, name string) {
	switch {
	case p.form == formExact:
		return HostAt, p.text
	case p.form == formOneLabel:
		return HostChildren, p.text
	case p.form == formDeep, p.form == formRegexp && p.text != "":
		return HostBelow, p.text
	case p.form == formRest:
		return HostRest, ""
	}
	return HostAnywhere, ""
}

// Parent is the domain by which exact names and wildcards of rules that overlap can be found: the name without its
// first label. Other patterns reach over many domains and have none.
func (p HostPattern) Parent() (domain string, ok bool) {
	switch p.form {
	case formExact:
		_, domain, _ = strings.Cut(p.text, ".")
		return domain, true
	case formOneLabel:
		return p.text, true
	}
	return "", false
}

// HostPlace is a kind of place in the tree of names. Patterns overlap only if one is at or above the place of
// the other, or anywhere.
type HostPlace uint8

// The places.
const (
	HostAnywhere HostPlace = iota // any name may be in the pattern
	HostRest                      // only what no rule names, and so only patterns of HostRest and HostAnywhere
	HostAt                        // one name
	HostChildren                  // names of one label more
	HostBelow                     // names with more labels, and perhaps the name itself
)

// HostClaims are the hosts for which an Ingress asks its class.
type HostClaims struct {
	Namespace, Name string
	// Class is empty for an Ingress that leaves open which controller serves it.
	Class string
	Hosts []Host
}

// ClaimedHosts are the hosts of an Ingress whose class is served by controller, each once. A default backend
// beside rules claims nothing: it takes what the rules of the same Ingress leave.
func ClaimedHosts(served []Host) []Host {
	out := make([]Host, 0, len(served))
	seen := make(map[HostIdentity]bool, len(served))
	expressions := 0
	for _, h := range served {
		if strings.HasPrefix(h.Host, "~") {
			if expressions++; expressions > maxRegexps {
				h.Host = "*"
			}
		}
		if h.Via == ViaDefaultBackend && !h.Wildcard || seen[h.Identity()] {
			continue
		}
		seen[h.Identity()] = true
		out = append(out, h)
	}
	return out
}

// HostIdentity tells hosts apart by the names that they stand for. It can be written down, and read back by
// Host.
type HostIdentity struct {
	Host string `json:"host"`
	Via  string `json:"via"`
}

// Identity is what tells h from other hosts.
func (h Host) Identity() HostIdentity { return HostIdentity{h.Host, h.Via} }

// Pattern is the pattern of the hosts that have this identity.
func (i HostIdentity) Pattern() HostPattern { return Host{Host: i.Host, Via: i.Via}.Pattern() }

// SharesClass tells whether two Ingresses of these classes may be served by one proxy. An Ingress without
// class may be served by any.
func SharesClass(a, b string) bool { return a == b || a == "" || b == "" }

// HostConflict is a host that an Ingress of another namespace serves too.
type HostConflict struct {
	Host  string `json:"host"`  // as asked for; empty for every host
	Field string `json:"field"` // of the Ingress that asks
	Via   string `json:"via"`
	Other Holder `json:"other"`
	// More is how many further Ingresses serve it beside Other, which is the first by namespace and name.
	More int `json:"more"`
}

// Holder is an Ingress that serves a host.
type Holder struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Class     string `json:"class"`
	Host      string `json:"host"` // as it is written there; empty for every host
	Via       string `json:"via"`
	// Pending tells that the Ingress was admitted a moment ago and is not known to be stored yet.
	Pending bool `json:"pending"`
}

// NewHosts are the hosts of claims that old, the same Ingress before an update, did not have in the same class.
func (c HostClaims) NewHosts(old HostClaims) []Host {
	if old.Class != c.Class {
		return c.Hosts
	}
	return slices.DeleteFunc(slices.Clone(c.Hosts), func(h Host) bool {
		return slices.ContainsFunc(old.Hosts, func(o Host) bool { return o.Identity() == h.Identity() })
	})
}
