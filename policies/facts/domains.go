package facts

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Domains are names that somebody may claim. The zero Domains is none.
type Domains struct {
	every    bool
	names    map[string]bool // shop.example.com
	children map[string]bool // example.com of *.example.com
	below    map[string]bool // example.com of **.example.com
}

// NewDomains reads domains in the four forms in which they are written:
//
//	shop.example.com     the name itself
//	*.shop.example.com   names with one label more, and the wildcard host of that spelling, as in a certificate
//	**.shop.example.com  names with one label more or several, without the name itself
//	**                   every name
//
// Case and the dot of a fully qualified name don't matter. Anything else is an error.
func NewDomains(texts []string) (Domains, error) {
	d := Domains{names: map[string]bool{}, children: map[string]bool{}, below: map[string]bool{}}
	for _, text := range texts {
		if text == "**" {
			d.every = true
			continue
		}
		name, kind := normalHost(text), d.names
		if domain, ok := strings.CutPrefix(name, "**."); ok {
			name, kind = domain, d.below
		} else if domain, ok := strings.CutPrefix(name, "*."); ok {
			name, kind = domain, d.children
		}
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			return Domains{}, fmt.Errorf("%.253q is no domain: want a name such as shop.example.com, *.shop.example.com for one label more, "+
				"**.shop.example.com for any number, or ** for every name", text)
		}
		kind[name] = true
	}
	return d, nil
}

// contain tells whether every name that p stands for is in the domains. Of a regular expression only the domain with
// which all matches end is known.
func (d Domains) contain(p HostPattern) bool {
	switch {
	case d.every:
		return true
	case p.text == "":
		return false
	}
	_, parent, _ := strings.Cut(p.text, ".")
	switch p.form {
	case formExact:
		return d.names[p.text] || d.children[parent] || d.reach(parent)
	case formOneLabel:
		return d.children[p.text] || d.reach(p.text)
	case formDeep:
		return d.reach(p.text) && (!p.apex || d.names[p.text] || d.children[parent] || d.reach(parent))
	case formRegexp:
		return d.reach(p.text)
	}
	return false
}

// reach tells whether the domains hold every name below domain.
func (d Domains) reach(domain string) bool {
	for rest := domain; rest != "" && len(d.below) > 0; _, rest, _ = strings.Cut(rest, ".") {
		if d.below[rest] {
			return true
		}
	}
	return false
}
