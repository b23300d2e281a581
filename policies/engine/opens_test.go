package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

const isolating = `{"metadata":{"namespace":"shop","name":"deny"},"spec":{"podSelector":{},"policyTypes":["Egress"]}}`

// What can't be read is an error of the policy that asks, never silence.
func TestOpensReadsItsOperands(t *testing.T) {
	const to = `{"metadata":{"namespace":"shop","name":"web"},"spec":{"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]}}`
	for name, c := range map[string]struct {
		operands string // old, new, others, limits
		want     string // part of the finding or the error; empty if there is neither
	}{
		"created":              {"null, " + to + ", [" + isolating + "], {}", "every pod in shop may now reach 10.0.0.1:443"},
		"with its stored copy": {"null, " + to + ", [" + isolating + ", " + to + "], {}", "every pod in shop may now reach 10.0.0.1:443"},
		"alone":                {"null, " + to + ", [], {}", ""},
		"neither":              {"null, null, [" + isolating + "], {}", ""},
		"deleted":              {isolating + ", null, [" + isolating + "], {}", "every pod in shop may now reach 8.8.8.8:443"},
		"allowed":              {"null, " + to + ", [" + isolating + `], {"allowed": [{"peers": {"cidrs": ["10.0.0.0/8"]}}]}`, ""},
		"nothing is allowed":   {"null, " + to + ", [" + isolating + `], {"allowed": null}`, "every pod in shop may now reach 10.0.0.1:443"},
		"old is no policy":     {`7, ` + to + `, [], {}`, "old: want an object, found number 7"},
		"new is no policy":     {`null, {"spec": []}, [], {}`, "new: spec: want an object, found array []"},
		"no policy among them": {"null, " + to + `, [7], {}`, "others: 0: decode NetworkPolicy: want an object"},
		"no limits":            {"null, " + to + `, [], {"allowed": {}}`, "limits: allowed: want an array"},
		"no CIDR": {"null, " + strings.Replace(to, "10.0.0.0/8", "10.0.0.0", 1) + ", [" + isolating + "], {}",
			`NetworkPolicy "web": spec.egress[0].to[0].ipBlock.cidr: expected a CIDR`},
	} {
		library := load(t, map[string]string{"opens": `# METADATA
# title: A title
# description: A description.
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
package sluice.test.opens

deny contains opening.text if some opening in sluice.networkpolicy.opens(` + c.operands + `).list
`})
		got := ""
		for _, outcome := range compile(t, library, "opens").Evaluate(context.Background(), input(t, isolating), []int{0}, engine.Deny) {
			if outcome.Err != nil {
				got += fmt.Sprint(outcome.Err)
			}
			for _, f := range outcome.Deny {
				got += f.Message
			}
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
