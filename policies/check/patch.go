package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

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
	inputs, edits := s.inputs(), map[*manifest.Object]manifest.Edit{}
	err = s.each(ctx, inputs, func(object *manifest.Object) {
		sub, ok := s.prepare(ctx, object)
		if !ok {
			return
		}
		s.judged(sub)
		s.settle(sub)
		edit, err := sub.edit()
		if err != nil {
			s.problem(object, object.Problem("", err.Error()))
			return
		}
		edits[object] = edit
	})
	if err != nil {
		return nil, report.Report{}, fmt.Errorf("fix %w", err)
	}
	var out []Fixed
	for _, in := range inputs {
		if in.text == nil {
			continue // could not be read
		}
		var own []manifest.Edit
		for _, object := range in.file.Objects {
			if edit, ok := edits[object]; ok {
				own = append(own, edit)
			}
		}
		after, err := manifest.Apply(in.file, own)
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
