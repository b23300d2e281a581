package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

// Patched is the request that follows when the API server has applied patches.
func Patched(r policies.Request, patches []policies.Patch) (policies.Request, error) {
	if len(patches) == 0 {
		return r, nil
	}
	operations := make([]engine.Operation6902, len(patches))
	for i, p := range patches {
		operations[i] = p.Operation6902
	}
	before, err := json.Marshal(r.Object)
	if err != nil {
		return r, fmt.Errorf("patch: %w", err)
	}
	encoded, err := json.Marshal(operations)
	if err != nil {
		return r, fmt.Errorf("patch: %w", err)
	}
	patch, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return r, fmt.Errorf("patch: %w", err)
	}
	after, err := patch.Apply(before)
	if err != nil {
		return r, fmt.Errorf("patch: %w", err)
	}
	object, err := engine.ParseJSON(after)
	if err != nil {
		return r, fmt.Errorf("patch: %w", err)
	}
	return r.WithObject(object), nil
}

// Fixed is a file with the patches of its objects written in.
type Fixed struct {
	Name          string // manifest.StdinName for stdin
	Before, After []byte
}

// Fix applies the patches of all policies to the text of the files, in which everything else stays as it is.
// Files are in the order of o.Paths, unchanged ones among them. The report has what went wrong and what was
// patched; a file with problems is patched where it can be.
func Fix(ctx context.Context, o Options) ([]Fixed, report.Report, error) {
	s, err := newSession(o)
	if err != nil {
		return nil, report.Report{}, err
	}
	var out []Fixed
	for _, in := range readInputs(o.Paths, o.Stdin) {
		s.fileProblems(in.file)
		var edits []manifest.Edit
		for _, object := range in.file.Objects {
			if err := ctx.Err(); err != nil {
				return nil, report.Report{}, fmt.Errorf("fix %s: %w", in.file.Name, err)
			}
			sub, ok := s.prepare(ctx, object)
			if !ok {
				continue
			}
			s.judged(sub)
			s.settle(sub)
			edit, err := sub.edit()
			if err != nil {
				s.problem(object, object.Problem("", err.Error()))
				continue
			}
			edits = append(edits, edit)
		}
		if in.text == nil {
			continue // could not be read
		}
		after, err := manifest.Apply(in.file, edits)
		if err != nil {
			s.problem(nil, manifest.Problem{File: in.file.Name, Message: err.Error()})
			after = in.text
		}
		out = append(out, Fixed{in.file.Name, in.text, after})
	}
	return out, s.finish(), nil
}

// edit is the patches of an object for manifest.Apply.
func (s subject) edit() (manifest.Edit, error) {
	base, err := json.Marshal(s.base)
	edit := manifest.Edit{Object: s.object, Base: base}
	errs := []error{err}
	for _, patch := range s.patches {
		op := manifest.Op{Op: patch.Op, Path: patch.Path}
		if patch.Op != "remove" {
			op.Value, err = json.Marshal(patch.Value)
			errs = append(errs, err)
		}
		edit.Ops = append(edit.Ops, op)
	}
	return edit, errors.Join(errs...)
}
