package engine

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// layout says which expressions of a compiled body the author wrote, and which stand for parts of them: the
// compiler takes calls and references out of expressions, and adds to the body what the head computes.
type layout struct {
	body  ast.Body
	steps []span     // what the author wrote, in the order of the source
	of    []int      // by index in the compiled body: the step, or headStep
	args  []namedVar // of a function, or an every's key and value
	vars  []namedVar // of the body, by step
	index map[*ast.Expr]int
}

// headStep is the step of what a rule's head computes.
const headStep = -1

// span is an expression in the source.
type span struct {
	at     *ast.Location
	source string
}

func spanOf(at *ast.Location) span { return span{at, string(at.Text)} }

func (s span) covers(other *ast.Location) bool {
	return s.at.File == other.File && s.at.Offset <= other.Offset && other.Offset+len(other.Text) <= s.at.Offset+len(s.source)
}

// namedVar is a variable that the author named, and the step that it first stands in.
type namedVar struct {
	local, name ast.Var
	step        int
}

func newLayout(body ast.Body, args []*ast.Term, names map[ast.Var]ast.Var) *layout {
	l := &layout{body: body, of: make([]int, len(body)), index: make(map[*ast.Expr]int, len(body))}
	for _, expr := range body {
		if at := expr.Location; at != nil && !expr.Generated && len(at.Text) > 0 {
			l.addStep(spanOf(at))
		}
	}
	slices.SortFunc(l.steps, func(a, b span) int { return a.at.Offset - b.at.Offset })
	seen := map[ast.Var]bool{}
	for _, arg := range args {
		if arg == nil {
			continue
		}
		for _, v := range declared(arg) {
			if name := authorName(v, names); name != "" && !seen[v] {
				seen[v] = true
				l.args = append(l.args, namedVar{v, name, headStep})
			}
		}
	}
	for i, expr := range body {
		l.index[expr] = i
		l.of[i] = l.stepOf(expr.Location)
		for _, v := range declared(expr) {
			if name := authorName(v, names); name != "" && !seen[v] {
				seen[v] = true
				l.vars = append(l.vars, namedVar{v, name, l.of[i]})
			}
		}
	}
	return l
}

// addStep adds a span unless an added one covers it; it takes the place of those that it covers.
func (l *layout) addStep(s span) {
	if slices.ContainsFunc(l.steps, func(other span) bool { return other.covers(s.at) }) {
		return
	}
	l.steps = append(slices.DeleteFunc(l.steps, func(other span) bool { return s.covers(other.at) }), s)
}

func (l *layout) stepOf(at *ast.Location) int {
	if at == nil {
		return headStep
	}
	return slices.IndexFunc(l.steps, func(s span) bool { return s.covers(at) })
}

// declared are the variables of an expression or term, those of closures in it aside.
func declared(node any) []ast.Var {
	var out []ast.Var
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Every, *ast.Not, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		case ast.Var:
			out = append(out, x)
		}
		return false
	})
	visitor.Walk(node)
	return out
}

// authorName is a variable's name in the source; "" for one that the compiler made, a wildcard among them.
func authorName(v ast.Var, names map[ast.Var]ast.Var) ast.Var {
	name, renamed := names[v]
	if !renamed || name.IsGenerated() || name.IsWildcard() || strings.HasPrefix(string(name), "__local") {
		return ""
	}
	return name
}

// beforeBody is what stands between a head and the first expression that the compiler keeps: comments, and variables
// that some declares.
var beforeBody = regexp.MustCompile(`\sif\s*\{(\s|#[^\n]*(\n|$)|some\s[^\n]*(\n|$))*$`)

// headSource is a rule's source up to its body, in one line.
func headSource(rule *ast.Rule) string {
	text, start := string(rule.Location.Text), rule.Location.Offset
	end := len(text)
	for _, expr := range rule.Body {
		at := expr.Location
		if at != nil && !expr.Generated && at.Offset > start && at.Offset-start < end {
			end = at.Offset - start
		}
	}
	text = beforeBody.ReplaceAllString(text[:end], " if")
	text = strings.TrimRight(text, " \t\r\n{")
	if head, _, found := strings.Cut(text, " else "); found && end == len(rule.Location.Text) {
		text = head // what follows is a definition of its own
	}
	return oneLineSource(text)
}
