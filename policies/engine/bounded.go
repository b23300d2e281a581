package engine

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Limits on what one call of a built-in function may write. A step budget can't see them: one call of
// concat or sprintf is one step, however much it writes.
const (
	maxText       = 256 << 10 // bytes of a string
	maxItems      = 100_000   // items of an array or range
	maxDigits     = 400       // of a number
	maxResultSize = 4 << 20   // bytes of a result written out
	maxGlobStars  = 8         // a glob backtracks at each star
)

// boundedPrefix marks the calls that are made through a check of their operands.
const boundedPrefix = "sluice.bounded."

// operandCheck refuses operands whose result could be too large.
type operandCheck func(args []*ast.Term) error

// workingBuiltins work through all of their operands, but can't write more than they are given: they are
// charged for it, and not checked.
const workingBuiltins = `array.reverse base64.decode base64url.decode contains crypto.md5 crypto.sha1 crypto.sha256 graph.reachable
	hex.decode indexof indexof_n intersection json.filter json.patch json.remove json.unmarshal lower max min
	net.cidr_merge object.filter object.remove object.subset object.union object.union_n or and sort split
	strings.any_prefix_match strings.any_suffix_match strings.count strings.reverse trim trim_left trim_right
	trim_space union upper urlquery.decode`

// operandChecks are the built-in functions whose work or result grows with what they are given.
func operandChecks() map[string]operandCheck {
	numbers := func(args []*ast.Term) error { return checkNumbers(args) }
	written := func(args []*ast.Term) error { return checkWritten(args...) }
	checks := map[string]operandCheck{
		"concat": checkConcat, "sprintf": checkSprintf, "internal.template_string": written,
		"replace": checkReplace, "strings.replace_n": checkReplaceN, "regex.replace": checkRegexReplace,
		"json.marshal": written, "base64.encode": written, "base64url.encode": written,
		"base64url.encode_no_pad": written, "hex.encode": written, "urlquery.encode": written,
		"array.concat": checkItems, "array.flatten": written,
		"numbers.range": checkRange, "numbers.range_step": checkRange,
		"glob.match": checkGlob, "units.parse": written, "units.parse_bytes": written,
	}
	for _, name := range strings.Fields(workingBuiltins) {
		checks[name] = func([]*ast.Term) error { return nil }
	}
	for _, name := range []string{"regex.match", "regex.split", "regex.find_n", "regex.find_all_string_submatch_n"} {
		checks[name] = checkRegex
	}
	checks["net.cidr_contains_matches"] = checkPairs
	for _, name := range []string{"mul", "div", "rem", "product", "plus", "minus", "sum", "ceil", "floor", "round",
		"abs", "format_int", "to_number", "bits.and", "bits.or", "bits.xor", "bits.negate"} {
		checks[name] = numbers
	}
	return checks
}

// boundedBuiltins are the checked forms of those functions, by the name under which compiled rules
// call them.
func boundedBuiltins() map[string]*topdown.Builtin {
	out := map[string]*topdown.Builtin{}
	for name, check := range operandChecks() {
		original := topdown.GetBuiltin(name)
		out[boundedPrefix+name] = &topdown.Builtin{
			Decl: ast.BuiltinMap[name],
			Func: func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
				if watch, ok := bctx.Cancel.(*meter); ok {
					watch.charge(work(args))
				}
				if err := check(args); err != nil {
					return &topdown.Error{Code: topdown.BuiltinErr, Message: fmt.Sprintf("%s: %v", name, err), Location: bctx.Location}
				}
				return original(bctx, args, iter)
			},
		}
	}
	return out
}

// work is how many steps a call is worth: about one for 64 bytes of text or 16 items.
func work(args []*ast.Term) int {
	steps := 0
	for _, arg := range args {
		steps += textLen(arg)/64 + itemCount(arg)/16
	}
	return steps
}

// bindBounded makes every call of a function that needs a check go through it.
func bindBounded(modules map[string]*ast.Module) {
	checks := operandChecks()
	for _, module := range modules {
		ast.WalkExprs(module, func(expr *ast.Expr) bool {
			if terms, ok := expr.Terms.([]*ast.Term); ok && expr.IsCall() {
				name := expr.Operator().String()
				if _, checked := checks[name]; checked {
					terms[0] = &ast.Term{Value: ast.Ref{ast.VarTerm(boundedPrefix + name)}, Location: terms[0].Location}
				}
			}
			return false
		})
	}
}
