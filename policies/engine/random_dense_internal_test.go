package engine

import (
	"fmt"
	"strings"
)

// denseWriter writes random Rego over few values, so that most of what it refers to is there.
type denseWriter struct {
	chooser
	named                   int
	vars                    []string // of the rule that is being written
	functions, sets, values []string // rules so far
}

func (w *denseWriter) fresh() string {
	w.named++
	w.vars = append(w.vars, fmt.Sprintf("v%d", w.named))
	return w.vars[len(w.vars)-1]
}

func (w *denseWriter) atom() string {
	if len(w.vars) > 0 && w.IntN(2) == 0 {
		return w.one(w.vars...)
	}
	return w.one("1", "2", "3", "o.a", "o.b", "true", "false", "[1, 2]", "[2, 1]", "o.list[0]", "told.a", "told.b", "told.list[0]", "told.a.b")
}

func (w *denseWriter) pattern() string {
	switch w.IntN(6) {
	case 0:
		return "[" + w.fresh() + ", " + w.fresh() + "]"
	case 1:
		return "[" + w.atom() + ", " + w.fresh() + "]"
	case 2:
		return "[" + w.fresh() + ", " + w.atom() + "]"
	case 3:
		return w.atom()
	case 4:
		return "[_, " + w.fresh() + "]"
	}
	return w.fresh()
}

// call calls one of the functions; without any it is an atom.
func (w *denseWriter) call() string {
	if len(w.functions) == 0 {
		return w.atom()
	}
	return w.one(w.functions...) + "(" + w.atom() + ")"
}

func (w *denseWriter) collection() string {
	if len(w.sets) > 0 && w.IntN(2) == 0 {
		return w.one(w.sets...)
	}
	return w.one("o.list", "o.list", "o.map", "told.list", "told.map", "[1, 2, 3]", "{1, 2, [1, 2]}", "[[1, 2], [2, 3]]")
}

func (w *denseWriter) term(depth int) string {
	n := w.IntN(9)
	if depth == 0 {
		n %= 7
	}
	switch n {
	case 0:
		return w.call()
	case 1:
		if len(w.values) > 0 {
			return w.one(w.values...)
		}
	case 2:
		return "[" + w.atom() + ", " + w.atom() + "]"
	case 3:
		return "{" + w.atom() + ", " + w.atom() + "}"
	case 4:
		return "{" + w.atom() + ": " + w.atom() + w.one("", `, "k": `+w.atom()) + "}"
	case 7:
		return w.closure(depth - 1)
	case 8:
		return w.one("count", "sum", "max", "sort", "json.marshal", "object.keys") + "(" + w.term(depth-1) + ")"
	}
	return w.atom()
}

// closure is a comprehension, which may use the variables around it.
func (w *denseWriter) closure(depth int) string {
	before := len(w.vars)
	body := w.conditions(1+w.IntN(2), depth)
	out := w.one("[", "{") + w.term(depth) + " | " + body
	if out[0] == '[' {
		out += "]"
	} else {
		out += "}"
	}
	if w.IntN(4) == 0 {
		out = "{" + w.term(0) + ": " + w.term(0) + " | " + body + "}"
	}
	w.vars = w.vars[:before]
	return out
}

func (w *denseWriter) condition(depth int) string {
	switch w.IntN(15) {
	case 0, 1:
		in := w.collection()
		return "some " + w.one("", w.fresh()+", ") + w.pattern() + " in " + in
	case 2:
		return w.collection() + "[" + w.pattern() + "]"
	case 3:
		in := w.collection()
		return w.pattern() + " = " + in + "[" + w.one("_", w.atom(), w.fresh()) + "]"
	case 4:
		right := w.term(depth)
		return w.fresh() + " := " + right
	case 5:
		right := w.term(depth)
		return w.pattern() + " = " + right
	case 6:
		if len(w.functions) > 0 {
			function, argument := w.one(w.functions...), w.atom()
			return function + "(" + argument + w.one("", ", "+w.one(w.fresh(), w.pattern())) + ")"
		}
	case 7:
		return "not " + w.one(w.collection()+"["+w.atom()+"]", w.atom()+" == "+w.atom(), w.atom()+" in "+w.collection(), w.call())
	case 8:
		return w.term(depth) + w.one(" == ", " != ", " < ") + w.term(depth)
	case 9:
		return w.atom() + " in " + w.collection()
	case 10:
		if depth > 0 {
			return "count(" + w.closure(depth-1) + ") " + w.one("> 0", "== 0", "== 1", "== 2")
		}
	case 11:
		right := w.call()
		return w.fresh() + " = " + right
	case 12, 13:
		if len(w.sets) > 0 {
			return w.one("", "not ") + w.one(w.sets...) + "[" + w.atom() + "]"
		}
	}
	return w.atom()
}

func (w *denseWriter) conditions(n, depth int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = w.condition(depth)
	}
	return strings.Join(out, "; ")
}

// body uses all its variables, as strict mode wants it.
func (w *denseWriter) body() string {
	body := w.conditions(1+w.IntN(3), 2)
	return "{ " + body + "; [" + strings.Join(w.vars, ", ") + `] != "all" }`
}

// definition is a rule of a name, with some else, whose head has the variables so far.
func (w *denseWriter) definition(head string) string {
	given := len(w.vars)
	body := w.body()
	out := head + " := " + w.term(1) + " if " + body
	for w.IntN(2) == 0 {
		w.vars = w.vars[:given]
		body := w.body()
		out += " else := " + w.term(1) + " if " + body
	}
	if w.IntN(3) == 0 {
		out += " else := " + w.one("1", "2", "false", "[1, 2]")
	}
	return out
}

// rules are the lines of two modules, of which some may not compile.
func (w *denseWriter) rules() map[string][]string {
	lines := []string{"package sluice.test.random", "o := input.request.object.spec", "told := " + w.object()} // as parameters are
	for i := range 12 {
		name := fmt.Sprintf("r%d", i)
		form := w.IntN(3)
		for range 1 + w.IntN(2) {
			w.vars = nil
			switch form {
			case 0:
				lines = append(lines, w.definition(name+"("+w.pattern()+")"))
			case 1:
				body := w.body()
				lines = append(lines, name+" contains "+w.one(w.term(1), w.call(), "["+w.call()+", "+w.atom()+"]")+" if "+body)
			case 2:
				lines = append(lines, w.definition(name))
			}
		}
		switch form {
		case 0:
			w.functions = append(w.functions, name)
		case 1:
			w.sets = append(w.sets, name)
		case 2:
			w.values = append(w.values, name)
			if w.IntN(3) == 0 {
				lines = append(lines, "default "+name+" := "+w.one("1", "false", "{1}"))
			}
		}
	}
	for i := range 8 {
		w.vars = nil
		lines = append(lines, fmt.Sprintf("c%d if %s", i, w.body()))
		w.vars = nil
		lines = append(lines, fmt.Sprintf("t%d := %s", i, w.term(2)))
	}
	return map[string][]string{"lib.rego": {"package sluice.lib.random", ""}, "rule.rego": lines}
}

func (w *denseWriter) object() string {
	value := func() string { return w.one("1", "2", "3", "[1, 2]", "[2, 1]", "[2, 3]", "true", "false") }
	return fmt.Sprintf(`{"a":%s,"b":%s,"list":[%s,%s,%s],"map":{"a":%s,"b":%s}}`, value(), value(), value(), value(), value(), value(), value())
}
