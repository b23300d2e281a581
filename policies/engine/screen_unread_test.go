package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies/engine"
)

// readable is a state that keeps two NetworkPolicies, whose objects may not be had, and tells whether somebody looked at them.
type readable struct {
	stored
	fails error
	read  *bool
}

func (r readable) List(schema.GroupKind, string) ([]engine.Document, error) {
	return r.documents, r.fails
}

func (r readable) NetworkPolicies(string) (*engine.PolicyList, error) {
	var all []engine.NetworkPolicy
	for _, document := range r.documents {
		p, err := engine.ReadNetworkPolicy(document)
		if err != nil {
			return nil, err
		}
		p.Object = func() (engine.Document, error) { return document, r.fails }
		all = append(all, p)
	}
	return engine.NewPolicyList(all, func() { *r.read = true }), nil
}

// Wherever a rule looks into the list of NetworkPolicies, it sees the objects; where it only hands it to facts, nobody reads them.
func TestRulesThatLookIntoAList(t *testing.T) {
	const (
		unread = "unread"
		read   = "read"
		list   = `sluice.state.list("networking.k8s.io/NetworkPolicy", "shop")`
		wide   = `sluice.networkpolicy.wide_egress(input.request.object, %s, {})`
		asks   = `some w in ` + wide + `; count(w.with) > 0`
	)
	documents := []engine.Document{
		parsed(t, fmt.Sprintf(widePolicy, "dns", "10.0.0.0/8")), parsed(t, fmt.Sprintf(widePolicy, "web", "52.0.0.0/8")),
	}
	for body, c := range map[string]struct{ look, says string }{
		`deny contains "x" if { ` + fmt.Sprintf(asks, list) + ` }`:                                                              {unread, "x"},
		`deny contains "x" if { all := ` + list + `; ` + fmt.Sprintf(asks, "all") + ` }`:                                        {unread, "x"},
		`all := ` + list + "\n" + `deny contains "x" if { ` + fmt.Sprintf(asks, "all") + ` }`:                                   {unread, "x"},
		`all := l if { l := ` + list + "; l }\n" + `deny contains "x" if { all; ` + fmt.Sprintf(asks, "all") + ` }`:             {unread, "x"},
		`f(l) := count(` + fmt.Sprintf(wide, "l") + ")\n" + `deny contains "x" if f(` + list + `) > 0`:                          {unread, "x"},
		`g(l) := l` + "\n" + `deny contains "x" if { ` + fmt.Sprintf(asks, "g("+list+")") + ` }`:                                {unread, "x"},
		`deny contains "x" if { not ` + list + `; true }`:                                                                       {unread, ""},
		`deny contains "x" if { a := ` + list + `; b := ` + list + `; a == b }`:                                                 {unread, "x"}, // the list is made once
		`deny contains "x" if count(` + list + `) == 2`:                                                                         {read, "x"},
		`deny contains "x" if ` + list + `[1].metadata.name == "web"`:                                                           {read, "x"},
		`deny contains "x" if ` + list + `[2].metadata.name == "web"`:                                                           {read, ""},
		`deny contains p.metadata.name if { some p in ` + list + ` }`:                                                           {read, "dns web"},
		`deny contains sprintf("%d", [i]) if { some i, _ in ` + list + ` }`:                                                     {read, "0 1"},
		`deny contains "x" if { l := ` + list + `; [a, _] = l; a.metadata.name == "dns" }`:                                      {read, "x"},
		`deny contains "x" if { l := ` + list + `; [_] = l }`:                                                                   {read, ""},
		`deny contains "x" if ` + list + ` == []`:                                                                               {read, ""},
		`deny contains "x" if ` + list + ` != []`:                                                                               {read, "x"},
		`deny contains "x" if { [] == ` + list + ` }`:                                                                           {read, ""},
		`deny contains "x" if { l := ` + list + `; l == json.unmarshal(json.marshal(l)) }`:                                      {read, "x"},
		`deny contains "x" if is_array(` + list + `)`:                                                                           {read, "x"},
		`deny contains "x" if type_name(` + list + `) == "array"`:                                                               {read, "x"},
		`deny contains "x" if count([l | l := ` + list + `; is_array(l)]) == 1`:                                                 {read, "x"},
		`deny contains "x" if { s := {l | l := ` + list + `}; some l in s; l[0].metadata.name == "dns" }`:                       {read, "x"},
		`deny contains "x" if count(array.flatten([` + list + `])) == 2`:                                                        {read, "x"},
		`deny contains "x" if count(array.flatten([l | l := ` + list + `])) == 2`:                                               {read, "x"},
		`deny contains "x" if { o := {"all": ` + list + `}; o.all[0].metadata.name == "dns" }`:                                  {read, "x"},
		`deny contains "x" if { pair := [` + list + `, 1]; count(pair[0]) == 2 }`:                                               {read, "x"},
		`f([a, _]) := a.metadata.name` + "\n" + `deny contains f(` + list + `) if true`:                                         {read, "dns"},
		`f(1) := 2` + "\n" + `f(l) := 3 if count(l) == 2` + "\n" + `deny contains "x" if f(` + list + `) == 3`:                  {read, "x"},
		`all := ` + list + "\n" + `deny contains "x" if all[_].metadata.name == "web"`:                                          {read, "x"},
		`all := ` + list + "\n" + `deny contains "x" if { some i; data.sluice.test.a.all[i].metadata.name == "web" }`:           {read, "x"},
		`all contains l if l := ` + list + "\n" + `deny contains "x" if { some l in all; l[1].metadata.name == "web" }`:         {read, "x"},
		`all := ` + list + "\n" + `all := ` + list + "\n" + `deny contains "x" if { ` + fmt.Sprintf(asks, "all") + ` }`:         {unread, "x"},
		`all := [] if false else := ` + list + "\n" + `deny contains "x" if { ` + fmt.Sprintf(asks, "all") + ` }`:               {unread, "x"},
		`deny contains "x" if { l := ` + list + `; not l[5]; not l[0].missing; l[0].metadata.name == "dns" }`:                   {read, "x"},
		`deny contains "x" if { every p in ` + list + ` { p.metadata.namespace == "shop" } }`:                                   {read, "x"},
		`deny contains {"msg": "m", "field": sprintf("%v", [count(` + list + `)])} if true`:                                     {read, "m"},
		`deny contains "x" if { l := ` + list + `; count(array.concat(l, ` + list + `)) == 4; ` + fmt.Sprintf(asks, "l") + ` }`: {read, "x"},
	} {
		source := strings.Replace(module("a", body), "#   kinds: [networking.k8s.io/Ingress]", "#   kinds: [networking.k8s.io/NetworkPolicy]\n#   state: [networking.k8s.io/NetworkPolicy]", 1)
		program := compile(t, load(t, map[string]string{"a": source}), "a")
		in := input(t, fmt.Sprintf(widePolicy, "one", "20.0.0.0/8"))
		var looked bool
		in.State = readable{stored{documents}, nil, &looked}
		known := screened(t, program, in, []int{0})
		if len(known) == 1 { // else the evaluator looked
			looked = false
			program.Screened(t.Context(), in, []int{0}, engine.Deny)
			if look := map[bool]string{false: unread, true: read}[looked]; look != c.look {
				t.Errorf("%s: %s, want %s", body, look, c.look)
			}
		} else if c.look == unread {
			t.Errorf("%s: the evaluator is asked", body)
		}
		var says []string
		for _, f := range program.Evaluate(t.Context(), in, []int{0}, engine.Deny)[0].Deny {
			says = append(says, f.Message)
		}
		if got := strings.Join(says, " "); got != c.says {
			t.Errorf("%s: says %q, want %q", body, got, c.says)
		}
		in.State = readable{stored{documents}, errors.New("no objects"), &looked}
		if err := program.Evaluate(t.Context(), in, []int{0}, engine.Deny)[0].Err; (err != nil) != (c.look == read) {
			t.Errorf("%s: without objects: %v", body, err)
		}
	}
}
