package check

import (
	"strconv"
	"strings"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

// problem adds what could not be judged. object is nil if the problem isn't about one.
func (s *session) problem(object *manifest.Object, p manifest.Problem) {
	result := report.Result{File: p.File, Line: p.Line, Column: p.Column, Action: report.ActionError, Message: p.Message, Field: p.Field}
	if object != nil {
		result.APIVersion, result.Kind, result.Namespace, result.Name = object.APIVersion, object.Kind, object.Namespace, object.Name
	}
	s.report.Results = append(s.report.Results, result)
	s.report.Summary.Errors++
}

// fileProblems adds what is wrong with a file, and what in it is no object.
func (s *session) fileProblems(file manifest.File) {
	for _, p := range file.Problems {
		s.problem(nil, p)
	}
	for _, skipped := range file.Skipped {
		if s.judges(skipped.Kind) {
			s.problem(nil, skipped.Half())
			continue
		}
		s.skipped["not a Kubernetes object"]++
		s.report.Summary.Skipped++
		if s.options.Strict {
			s.problem(nil, skipped.Other())
		}
	}
}

// skip counts an object that is not judged, under what tells why. unjudged is true if no policy judges its
// kind.
func (s *session) skip(object *manifest.Object, what string, unjudged bool) {
	s.skipped[what]++
	s.report.Summary.Skipped++
	if unjudged && s.options.Strict {
		s.problem(object, object.Problem("", "no policy judges "+what))
	}
}

// judged adds an object that policies were asked about, and its patches.
func (s *session) judged(sub subject) {
	o := sub.object
	s.report.Summary.Objects++
	s.report.Objects = append(s.report.Objects, report.ObjectRef{
		File: o.File, Line: o.Line, APIVersion: o.APIVersion, Kind: o.Kind, Namespace: sub.namespace, Name: o.Name,
	})
	for _, patch := range sub.patches {
		line, column := o.Position(fieldPath(patch.Path))
		patched := report.Patched{
			File: o.File, Line: line, Column: column, Kind: o.Kind, Namespace: sub.namespace, Name: o.Name,
			Policy: patch.Policy, Op: patch.Op, Path: patch.Path,
		}
		if patch.Op != "remove" {
			patched.Value = patch.Value
		}
		s.report.Patched = append(s.report.Patched, patched)
	}
}

// findings adds what policies say, at the place in the file.
func (s *session) findings(sub subject, findings ...policies.Finding) {
	o := sub.object
	if o == s.watched {
		s.seen = append(s.seen, findings...)
	}
	for _, f := range findings {
		line, column := o.Position(f.Field)
		result := report.Result{
			File: o.File, Line: line, Column: column,
			APIVersion: o.APIVersion, Kind: o.Kind, Namespace: sub.namespace, Name: o.Name,
			Policy: f.Policy, Action: string(f.Effect), Message: f.Message, Field: f.Field, Fix: f.Fix, Severity: f.Severity,
		}
		switch {
		case f.Excused != "":
			result.Action = report.ActionAudit
			result.Message += " (excused by " + f.Excused + ")"
		case f.Failed:
			result.Action = report.ActionError
			s.report.Summary.Errors++
		case f.Effect == policies.EffectWarn:
			s.warned[o] = true
		case f.Effect != policies.EffectAudit:
			result.Action = report.ActionDeny
			s.denied[o] = true
		}
		s.report.Results = append(s.report.Results, result)
	}
}

// finish completes the report.
func (s *session) finish() report.Report {
	r := s.report
	r.ToolVersion = s.options.ToolVersion
	r.Summary.Denied, r.Summary.Warned = len(s.denied), len(s.warned)
	for what, count := range s.skipped {
		r.SkippedKinds = append(r.SkippedKinds, report.SkippedKind{What: what, Count: count})
	}
	for _, p := range s.gate.Policies() {
		rule := report.Rule{ID: p.Name, Title: p.Rule.Title, Description: p.Rule.Description, Severity: p.Rule.Severity}
		if len(p.Rule.References) > 0 {
			rule.HelpURI = p.Rule.References[0]
		}
		r.Rules = append(r.Rules, rule)
	}
	return r
}

// fieldPath is the Kubernetes field path of a JSON pointer; the end of a list is the list.
func fieldPath(pointer string) string {
	var out strings.Builder
	for _, key := range strings.Split(pointer, "/")[1:] {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
		_, err := strconv.Atoi(key)
		switch {
		case key == "-":
		case err == nil:
			out.WriteString("[" + key + "]")
		case strings.ContainsAny(key, "./"):
			out.WriteString(`["` + key + `"]`)
		default:
			out.WriteString("." + key)
		}
	}
	return strings.TrimPrefix(out.String(), ".")
}
