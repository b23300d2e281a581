package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/sluice-gate/sluice/policies/facts"
)

// DryRun is the outcome of `sluice generate --dry-run`. With an error of the input nothing was compared. Its JSON keys are
// a stable interface.
type DryRun struct {
	// Namespaces are those in which something is generated, or would be by a policy that only reports it.
	Namespaces []PlannedNamespace `json:"namespaces"`
	// Nothing are those in which nothing is.
	Nothing      []NothingGenerated `json:"nothing"`
	Errors       []Result           `json:"errors"`
	SkippedKinds []SkippedKind      `json:"skippedKinds,omitempty"`
	Summary      DryRunSummary      `json:"summary"`
}

// PlannedNamespace is what is generated in one namespace, and what that does to the traffic of its pods.
type PlannedNamespace struct {
	Namespace string          `json:"namespace"`
	Pods      int             `json:"pods"`
	Objects   []PlannedObject `json:"objects"`
	Closes    []PodChange     `json:"closes"`
	Opens     []PodChange     `json:"opens"`
	// HostNetwork are pods with their node's network, of which NetworkPolicies tell nothing.
	HostNetwork []string `json:"hostNetwork"`
	// Reported is what policies would generate that only warn or audit.
	Reported []Result `json:"reported"`
}

// The values of PlannedObject.Change.
const (
	ChangeNew  = "new"
	ChangeMade = "changed"
	ChangeNone = "same"
)

// PlannedObject is an object that is generated.
type PlannedObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Policy     string `json:"policy"`
	Change     string `json:"change"` // new, changed or same, against an object of this name that exists
	// Fields are the paths of what changes in the object that exists.
	Fields []string `json:"fields"`
	// Unjudged tells that the object may close traffic, and nobody can tell which.
	Unjudged bool `json:"unjudged"`
}

// PodChange is traffic of pods that is opened or closed.
type PodChange struct {
	facts.Opening
	// Names are the pods; empty if none are known, and Pods is a selector.
	Names []string `json:"names"`
}

// NothingGenerated is a namespace in which nothing is generated, and the reason.
type NothingGenerated struct {
	Namespace string `json:"namespace"`
	Reason    string `json:"reason"`
}

// DryRunSummary counts namespaces, their pods, objects by what happens to them, and what traffic it changes.
type DryRunSummary struct {
	Namespaces int `json:"namespaces"`
	Nothing    int `json:"nothing"`
	Pods       int `json:"pods"`
	PodsClosed int `json:"podsClosed"` // pods that lose some traffic
	New        int `json:"new"`
	Changed    int `json:"changed"`
	Same       int `json:"same"`
	Closed     int `json:"closed"`
	Opened     int `json:"opened"`
	Unjudged   int `json:"unjudged"`
	Errors     int `json:"errors"`
	Skipped    int `json:"skipped"`
}

// WriteDryRun prints d to w in one of DiffFormats, in the order that d has. The output is written at once.
func WriteDryRun(w io.Writer, format string, d DryRun, opts TextOptions) error {
	var out bytes.Buffer
	switch format {
	case FormatText:
		writeDryRunText(&out, d, opts)
	case FormatJSON:
		if err := encodeJSON(&out, withLists(d)); err != nil {
			return fmt.Errorf("report as %s: %w", format, err)
		}
	default:
		return fmt.Errorf("unknown output format %q", format)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// withLists is d with [] for every list that is empty.
func withLists(d DryRun) DryRun {
	d.Namespaces = append([]PlannedNamespace{}, d.Namespaces...)
	d.Nothing = append([]NothingGenerated{}, d.Nothing...)
	d.Errors = orderedResults(d.Errors)
	for i := range d.Namespaces {
		n := &d.Namespaces[i]
		n.Objects, n.HostNetwork = append([]PlannedObject{}, n.Objects...), append([]string{}, n.HostNetwork...)
		n.Closes, n.Opens = append([]PodChange{}, n.Closes...), append([]PodChange{}, n.Opens...)
		n.Reported = orderedResults(n.Reported)
		for j := range n.Objects {
			n.Objects[j].Fields = append([]string{}, n.Objects[j].Fields...)
		}
		for _, list := range [][]PodChange{n.Closes, n.Opens} {
			for j := range list {
				list[j].Names = append([]string{}, list[j].Names...)
			}
		}
	}
	return d
}
