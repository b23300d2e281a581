package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// How much of a list the text shows.
const (
	mostErrors     = 20
	mostChanges    = 10 // of each sort in a namespace
	mostNamespaces = 10 // of those with nothing, by reason
	mostPods       = 3
)

func writeDryRunText(out *bytes.Buffer, d DryRun, opts TextOptions) {
	paint := func(word string) string { return styled(opts.Color, severityOf(word), word) }
	errors := orderedResults(d.Errors)
	for i, r := range errors {
		if i == mostErrors {
			fmt.Fprintf(out, "and %s\n", count(len(errors)-i, "more error"))
			break
		}
		for _, line := range findingLines(r, paint) {
			out.WriteString(line + "\n")
		}
	}
	for _, n := range d.Namespaces {
		writeNamespace(out, n, d.Summary.Pods > 0, paint)
	}
	out.WriteString(d.summaryLine() + "\n")
}

// severityOf is the action whose colour a word has: here it is what closes that harms.
func severityOf(word string) string {
	switch word {
	case wordCloses:
		return ActionDeny
	case wordOpens, ChangeMade:
		return ActionWarn
	}
	return word
}

func writeNamespace(out *bytes.Buffer, n PlannedNamespace, withPods bool, paint func(string) string) {
	head := "namespace " + oneLine(n.Namespace)
	if withPods {
		head += ", " + count(n.Pods, "pod")
	}
	changes := slices.ContainsFunc(n.Objects, func(o PlannedObject) bool { return o.Change != ChangeNone })
	if !changes && len(n.Objects) > 0 {
		fmt.Fprintf(out, "%s: nothing changes, what is generated is there already (%s)\n", head, count(len(n.Objects), "object"))
		n.Objects = nil
	} else {
		out.WriteString(head + "\n")
	}
	section(out, n.Objects, func(o PlannedObject) (string, string) { return o.Change, o.text() }, paint)
	section(out, n.Closes, func(c PodChange) (string, string) { return wordCloses, c.Text }, paint)
	section(out, n.Opens, func(c PodChange) (string, string) { return wordOpens, c.Text }, paint)
	if len(n.HostNetwork) > 0 && changes {
		writeItem(out, "apart", PodsText(n.HostNetwork)+": with the node's network, where the dataplane decides what NetworkPolicies do", paint)
	}
	section(out, orderedResults(n.Reported), func(r Result) (string, string) { return r.Action, policyPrefix(r.Policy) + r.Message }, paint)
}

// section is a list of one sort, as far as the text shows it.
func section[T any](out *bytes.Buffer, list []T, item func(T) (word, text string), paint func(string) string) {
	for i, x := range list {
		word, text := item(x)
		if i == mostChanges {
			writeItem(out, word, fmt.Sprintf("and %d more", len(list)-i), paint)
			return
		}
		writeItem(out, word, text, paint)
	}
}

func writeItem(out *bytes.Buffer, word, text string, paint func(string) string) {
	fmt.Fprintf(out, "    %s%s  %s\n", paint(word), strings.Repeat(" ", max(0, len(ChangeMade)-len(word))), oneLine(text))
}

func (o PlannedObject) text() string {
	text := objectName(o.Kind, "", o.Name) + ", by policy " + o.Policy
	if len(o.Fields) > 0 {
		text += ": " + Listed(o.Fields, mostChanges)
	}
	if o.Unjudged {
		text += "; what it closes is not told by NetworkPolicies: could not judge"
	}
	return text
}

// PodsText names pods, as far as the text shows them: "pod web-1", "pods web-1, web-2, web-3 and 2 more".
func PodsText(names []string) string {
	if len(names) == 1 {
		return "pod " + names[0]
	}
	return "pods " + Listed(names, mostPods)
}

// Listed is the first names of a list, and how many there are more.
func Listed(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (d DryRun) summaryLine() string {
	s := d.Summary
	end := fmt.Sprintf("; %d unjudged, %s, %d skipped%s", s.Unjudged, count(s.Errors, "error"), s.Skipped, skippedText(d.SkippedKinds))
	if len(d.Namespaces)+len(d.Nothing) == 0 && s.Errors > 0 {
		return count(s.Namespaces, "namespace") + ": nothing compared" + end
	}
	line := fmt.Sprintf("%s: %s new, %d changed, %d the same; %d closed, %d opened", count(s.Namespaces, "namespace"),
		count(s.New, "object"), s.Changed, s.Same, s.Closed, s.Opened)
	if s.Pods > 0 {
		line += fmt.Sprintf(", %d of %d pods lose traffic", s.PodsClosed, s.Pods)
	}
	if s.Nothing > 0 {
		line += fmt.Sprintf("; nothing generated in %s (%s)", count(s.Nothing, "namespace"), d.reasons())
	}
	return line + end
}

// reasons are the namespaces in which nothing is generated, by reason.
func (d DryRun) reasons() string {
	list := slices.Clone(d.Nothing)
	slices.SortStableFunc(list, func(a, b NothingGenerated) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Namespace, b.Namespace))
	})
	var parts []string
	for len(list) > 0 {
		n := slices.IndexFunc(list, func(x NothingGenerated) bool { return x.Reason != list[0].Reason })
		if n < 0 {
			n = len(list)
		}
		var names []string
		for _, x := range list[:n] {
			names = append(names, oneLine(x.Namespace))
		}
		parts = append(parts, oneLine(list[0].Reason)+": "+Listed(names, mostNamespaces))
		list = list[n:]
	}
	return strings.Join(parts, "; ")
}
