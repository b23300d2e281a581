package engine

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Finding is one result of deny or warn.
type Finding struct {
	Message string // what was observed and why that is refused; never empty
	Field   string // a Kubernetes field path such as spec.rules[0].host; may be empty
	Fix     string // what to write instead; may be empty
}

// Operation6902 is one operation of RFC 6902 (JSON Patch): add, remove or replace.
type Operation6902 struct {
	Op    string   `json:"op"`
	Path  string   `json:"path"` // a JSON Pointer (RFC 6901)
	Value Document `json:"value,omitzero"`
}

// Bounds on what one policy may say of one object.
const (
	maxFindings    = 100
	maxFindingText = 8 << 10 // bytes
)

// add reads the results of one verb. A result of the wrong form is an error: it must not be lost.
func (o *Outcome) add(verb Verb, set ast.Set) error {
	for i, term := range set.Slice() {
		if i == maxFindings && (verb == Deny || verb == Warn) {
			o.addFinding(verb, Finding{Message: fmt.Sprintf("and %d more findings like these", set.Len()-i)})
			return nil
		}
		if termSize(term.Value, maxResultSize) >= maxResultSize {
			return fmt.Errorf("%s: %w", verb, errTooLarge)
		}
		if err := o.addOne(verb, Document{term.Value}); err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
	}
	return nil
}

func (o *Outcome) addOne(verb Verb, result Document) error {
	switch verb {
	case Patch:
		op, err := patchOperation(result)
		if err != nil {
			return err
		}
		o.Patch = append(o.Patch, op)
	case Generate:
		if !result.IsObject() {
			return fmt.Errorf("want a Kubernetes object, found %.100s", result)
		}
		o.Generate = append(o.Generate, result)
	default:
		f, err := finding(result)
		if err != nil {
			return err
		}
		o.addFinding(verb, f)
	}
	return nil
}

func (o *Outcome) addFinding(verb Verb, f Finding) {
	if verb == Deny {
		o.Deny = append(o.Deny, f)
	} else {
		o.Warn = append(o.Warn, f)
	}
}

// finding reads a string or {"msg", "field", "fix"}.
func finding(d Document) (Finding, error) {
	if text := d.Text(); text != "" {
		return Finding{Message: text}, checkText(text)
	}
	object, ok := d.value.(ast.Object)
	if !ok {
		return Finding{}, fmt.Errorf(`want a string or {"msg", "field", "fix"}, found %.100s`, d)
	}
	f := Finding{Message: d.Get("msg").Text(), Field: d.Get("field").Text(), Fix: d.Get("fix").Text()}
	if f.Message == "" {
		return f, fmt.Errorf("a finding has no msg: %.100s", d)
	}
	unknown := object.Until(func(k, v *ast.Term) bool {
		_, isText := v.Value.(ast.String)
		key, _ := k.Value.(ast.String)
		return !isText || key != "msg" && key != "field" && key != "fix"
	})
	if unknown {
		return f, fmt.Errorf(`a finding has strings under "msg", "field" and "fix" only, found %.100s`, d)
	}
	return f, checkText(f.Message + f.Field + f.Fix)
}

func checkText(text string) error {
	if len(text) > maxFindingText {
		return fmt.Errorf("a finding is longer than %d bytes: %.60s…", maxFindingText, text)
	}
	return nil
}

func patchOperation(d Document) (Operation6902, error) {
	op := Operation6902{Op: d.Get("op").Text(), Path: d.Get("path").Text(), Value: d.Get("value")}
	switch {
	case op.Op != "add" && op.Op != "replace" && op.Op != "remove":
		return op, fmt.Errorf(`want op add, replace or remove (RFC 6902), found %.100s`, d)
	case !strings.HasPrefix(op.Path, "/"):
		return op, fmt.Errorf("want a path such as /spec/policyTypes (RFC 6901), found %.100s", d)
	case op.Op != "remove" && op.Value.value == nil:
		return op, fmt.Errorf("%s %s has no value", op.Op, op.Path)
	}
	return op, nil
}
