package engine

import "context"

// Ask is Evaluate by the evaluator alone: the reference for what screens say.
func (p *Program) Ask(ctx context.Context, in Input, active []int, asked ...Verb) []Outcome {
	input, err := in.term()
	if err != nil {
		return unevaluated(active, err)
	}
	ctx = withResults(ctx, in.State)
	var out []Outcome
	for _, policy := range active {
		seat := p.seats[policy]
		said := seat.unit.ask(ctx, p.budget, input, []int{seat.index}, asked)[0]
		said.Policy = policy
		out = append(out, said)
	}
	return out
}

// Screened are those of the active policies about which the evaluator isn't asked.
func (p *Program) Screened(ctx context.Context, in Input, active []int, asked ...Verb) []int {
	input, err := in.term()
	if err != nil {
		return nil
	}
	ctx = withResults(ctx, in.State)
	var out []int
	for _, policy := range active {
		seat := p.seats[policy]
		if _, unknown := seat.unit.screen.outcomes(ctx, p.budget, input, []int{seat.index}, asked); len(unknown) == 0 {
			out = append(out, policy)
		}
	}
	return out
}
