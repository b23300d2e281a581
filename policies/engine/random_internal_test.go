package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// chooser makes random choices.
type chooser struct{ *rand.Rand }

func (c chooser) one(of ...string) string { return of[c.IntN(len(of))] }

// writer writes random Rego. What doesn't compile is dropped later.
type writer struct {
	chooser
	named   int
	vars    []string // bound so far
	docs    []string
	calls   map[string]int // functions by arity
	sound   bool           // without built-in functions that fail
	negated bool
}

func (w *writer) variable() string {
	w.named++
	name := "v" + strconv.Itoa(w.named)
	w.vars = append(w.vars, name)
	return name
}

func (w *writer) scalar() string {
	return w.one("0", "1", "2", "1.0", "1e0", "10e-1", "-1", `"a"`, `"b"`, `"1"`, `"ab"`, "true", "false", "null", `""`)
}

func (w *writer) constant() string {
	return w.one(w.scalar(), w.scalar(), w.one("[]", "[1, 2]", "[1, [2]]", `{"a": 1}`, "{}", "{1, 2}", `{"a", "b"}`, "set()", `{1: "a"}`,
		`{"a": {"b": 1}}`, "{[1, 2]}", `[{"a": 1}, {"a": 2}]`, "[false]", `{"a": false}`, "[1.0, 2]", `{1.0: "a", "b": null}`))
}

// ref is a path into the input, what stands for parameters (told), a rule, a variable or the result of a call.
func (w *writer) ref(depth int) string {
	base := w.one("o", "o.list", "o.map", `input.request["object"].spec`, "data.sluice.test.random.o", "data.sluice.test.random.told", "data.sluice.test.random.told.map")
	switch w.IntN(6) {
	case 0, 1:
		if len(w.docs) > 0 {
			base = w.one(w.docs...)
		}
	case 2:
		if len(w.vars) > 0 {
			base = w.one(w.vars...)
		}
	case 3:
		if depth > 0 && !w.negated {
			base = w.call(depth - 1)
		}
	}
	for range w.IntN(4) {
		key := w.one(".a", ".b", `["a"]`, ".list", "[0]", "[1]", "[1.0]", "[true]", "[null]", "[[1, 2]]")
		switch n := w.IntN(8); {
		case n == 0 && len(w.vars) > 0:
			key = "[" + w.one(w.vars...) + "]"
		case n == 1 && !w.negated:
			key = w.one("[_]", "[[1, _]]", `[{"a": _}]`)
		case n == 2 && !w.negated:
			key = "[" + w.variable() + "]"
		case n == 3 && depth > 0:
			key = "[" + w.term(depth-1) + "]"
		}
		base += key
	}
	return base
}

func (w *writer) terms(n, depth int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = w.term(depth)
	}
	return strings.Join(out, ", ")
}

func (w *writer) call(depth int) string {
	if len(w.calls) > 0 && w.IntN(2) == 0 {
		name := w.function()
		return name + "(" + w.terms(w.calls[name], depth) + ")"
	}
	name := w.one("is_string", "is_null", "is_number", "is_boolean", "is_object", "type_name")
	if !w.sound {
		name = w.one(name, "count", "to_number", "object.keys", "abs", "startswith", "array.concat", "object.union", "object.get")
	}
	arity := map[string]int{"startswith": 2, "array.concat": 2, "object.union": 2, "object.get": 3}[name]
	return name + "(" + w.terms(max(1, arity), depth) + ")"
}

func (w *writer) function() string {
	names := make([]string, 0, len(w.calls))
	for name := range w.calls {
		names = append(names, name)
	}
	slices.Sort(names)
	return w.one(names...)
}

func (w *writer) term(depth int) string {
	n := w.IntN(23)
	if depth <= 0 {
		n %= 13
	}
	switch {
	case n < 5:
		return w.constant()
	case n < 8 && len(w.vars) > 0:
		return w.one(w.vars...)
	case n < 13:
		return w.ref(depth)
	case n < 15:
		return w.call(depth - 1)
	case n == 15:
		return "[" + w.terms(2, depth-1) + "]"
	case n == 16:
		return `{"a": ` + w.term(depth-1) + "}"
	case n == 17:
		return "{" + w.term(depth-1) + "}"
	case n == 18:
		return "{" + w.term(depth-1) + ": " + w.term(depth-1) + w.one("", `, "b": `+w.term(depth-1)) + "}"
	case n == 19:
		return w.one(`sprintf("%v", [`+w.term(depth-1)+"])", `$"a{`+w.one(append(w.vars, "o.a", "o.map.b", "1")...)+`}"`)
	}
	return w.within(func() string {
		body := w.condition(depth - 1)
		value := w.term(depth - 1)
		return w.one("[%s | %s]\x00", "{%s | %s}\x00", "{%s | %s}\x00"+w.term(depth-1)+": ") + value + "\x00" + body
	})
}

// within writes a comprehension, whose variables are its own.
func (w *writer) within(write func() string) string {
	vars, negated := slices.Clone(w.vars), w.negated
	w.negated = false
	parts := strings.Split(write(), "\x00")
	w.vars, w.negated = vars, negated
	return fmt.Sprintf(parts[0], parts[1], parts[2])
}

// pattern has new variables, and sometimes old ones and constants.
func (w *writer) pattern(depth int) string {
	switch n := w.IntN(8); {
	case n == 0:
		return w.constant()
	case n == 1:
		return "_"
	case n == 2 && len(w.vars) > 0:
		return w.one(w.vars...)
	case n == 3 && depth > 0:
		return "[" + w.pattern(depth-1) + ", " + w.pattern(depth-1) + "]"
	case n == 4 && depth > 0:
		return `{"a": ` + w.pattern(depth-1) + "}"
	}
	return w.variable()
}

func (w *writer) condition(depth int) string {
	if depth < 0 {
		return w.ref(0)
	}
	switch w.IntN(13) {
	case 0:
		return w.term(depth) + w.one(" == ", " == ", " != ", " < ", " in ") + w.term(depth)
	case 1:
		term := w.term(depth)
		return w.variable() + " := " + term
	case 2:
		term := w.term(depth)
		return w.pattern(2) + " = " + term
	case 3:
		return w.ref(depth) + " = " + w.ref(depth)
	case 4, 5:
		w.negated = true
		inner := w.one(w.ref(depth), w.call(depth), w.term(depth)+w.one(" == ", " in ")+w.term(depth))
		w.negated = false
		return "not " + inner
	case 6, 7:
		in, key := w.ref(depth), w.one("", "", "0, ", `"a", `, "1.0, ", "key")
		if key == "key" {
			key = w.variable() + ", "
		}
		return "some " + key + w.pattern(1) + " in " + in
	case 8:
		return w.call(depth) + " with input.request.object.spec.a as " + w.term(depth-1)
	case 9:
		if len(w.calls) > 0 {
			name := w.function()
			return name + "(" + w.terms(w.calls[name], depth) + ", " + w.pattern(1) + ")"
		}
	case 10:
		return w.call(depth)
	case 11:
		return "every e in " + w.ref(depth) + " { e != " + w.term(depth-1) + " }"
	}
	return w.ref(depth)
}

// body uses all its variables, as strict mode wants it.
func (w *writer) body(conditions int) string {
	out := make([]string, 1+w.IntN(conditions))
	for i := range out {
		out[i] = w.condition(2)
	}
	return "{ " + strings.Join(append(out, "["+strings.Join(w.vars, ", ")+`] != "all"`), "; ") + " }"
}

// rule is a rule, and perhaps what stands behind its else.
func (w *writer) rule(head func() string) string {
	w.vars = nil
	begin := head()
	given := slices.Clone(w.vars)
	body := w.body(2)
	out := begin + " := " + w.one(w.constant(), w.term(1)) + " if " + body
	for w.IntN(2) == 0 {
		w.vars = slices.Clone(given)
		body := w.body(2)
		out += " else := " + w.term(1) + " if " + body
	}
	return out
}

// helpers are rules of all forms. Each line is one.
func (w *writer) helpers(prefix string) (lines []string) {
	for i := range 5 {
		name := prefix + strconv.Itoa(i)
		form := w.IntN(5)
		for range 1 + w.IntN(2) {
			w.vars = nil
			switch form {
			case 0:
				lines = append(lines, w.rule(func() string { return name }))
			case 1:
				body := w.body(2)
				lines = append(lines, name+" contains "+w.term(1)+" if "+body)
			case 2:
				body := w.body(2)
				lines = append(lines, name+w.one(`["a"]`, ".b", ".a.b", "["+w.one(append(w.vars, `"a"`)...)+"]")+w.one(" := ", " contains ")+w.term(1)+" if "+body)
			default:
				lines = append(lines, w.rule(func() string { return name + "(" + w.pattern(2) + ", " + w.pattern(2) + ")" }))
			}
		}
		switch {
		case form == 0 && w.IntN(2) == 0:
			lines = append(lines, "default "+name+" := "+w.one(w.constant(), "[1 | true]", `{"a": {1 | true}}`, `$"a{1}"`))
		case form > 2 && w.IntN(4) == 0:
			lines = append(lines, "default "+name+"(_, _) := "+w.constant())
		}
		if form > 2 {
			w.calls[name] = 2
		} else {
			w.docs = append(w.docs, name, name+".a", name+`["b"]`, name+".a.b")
		}
	}
	return lines
}
