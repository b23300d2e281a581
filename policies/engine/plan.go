package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// planKey names a set of policies, by their indexes, and the verbs asked of them.
type planKey string

// plan is one query that asks several policies at once.
type plan struct {
	active []int
	body   ast.Body
	parts  []planPart
}

type planPart struct {
	policy int
	verb   Verb
}

// maxPlans bounds the plans that a unit keeps for several policies at once. Which policies are asked depends on the
// namespace, on labels and on what screens leave over, so that few sets are in use; beyond the bound some plan makes room.
// Plans of one policy are kept beside them: there are as many as policies.
const maxPlans = 256

// plan returns the kept plan for the policies, or prepares and keeps one.
func (u *unit) plan(active []int, asked []Verb) (*plan, error) {
	var name strings.Builder
	for _, i := range active {
		name.WriteString(strconv.Itoa(i))
		name.WriteByte(' ')
	}
	for _, verb := range asked {
		name.WriteString(string(verb))
	}
	key := planKey(name.String())
	u.mu.RLock()
	kept, found := u.plans[key]
	u.mu.RUnlock()
	if found {
		return kept, nil
	}
	prepared, err := u.prepare(active, asked)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if kept, found := u.plans[key]; found { // prepared by another request meanwhile
		return kept, nil
	}
	if len(active) > 1 {
		if u.joint++; u.joint > maxPlans {
			u.forgetOne()
		}
	}
	u.plans[key] = prepared
	return prepared, nil
}

// forgetOne drops some plan of several policies.
func (u *unit) forgetOne() {
	for key, kept := range u.plans {
		if len(kept.active) > 1 {
			delete(u.plans, key)
			u.joint--
			return
		}
	}
}

// prepare writes the query out := [data.gate.a.deny, data.gate.b.deny, …].
func (u *unit) prepare(active []int, asked []Verb) (*plan, error) {
	out := &plan{active: slices.Clone(active)}
	var refs []*ast.Term
	for _, i := range active {
		for _, verb := range asked {
			if u.policies[i].Rule.States(verb) {
				refs = append(refs, ast.NewTerm(ast.Ref{ast.DefaultRootDocument.Copy(), ast.StringTerm("gate"),
					ast.StringTerm(u.policies[i].Name), ast.StringTerm(string(verb))}))
				out.parts = append(out.parts, planPart{i, verb})
			}
		}
	}
	query := ast.NewBody(ast.Equality.Expr(ast.VarTerm("out"), ast.ArrayTerm(refs...)))
	body, err := u.compiler.QueryCompiler().Compile(query)
	if err != nil {
		return nil, fmt.Errorf("prepare query: %w", err)
	}
	out.body = body
	return out, nil
}
