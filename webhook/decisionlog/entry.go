package decisionlog

import (
	"encoding/json"
	"time"

	"github.com/sluice-gate/sluice/policies/engine"
)

// Entry is a line of the log: one review.
type Entry struct {
	Time            time.Time `json:"time"` // when the review came
	Handler         string    `json:"handler"`
	UID             string    `json:"uid"`
	User            string    `json:"user"`
	Groups          []string  `json:"groups,omitempty"`
	Operation       string    `json:"operation"`
	Kind            string    `json:"kind"` // group/Kind
	SubResource     string    `json:"subResource,omitempty"`
	Namespace       string    `json:"namespace,omitempty"`
	Name            string    `json:"name,omitempty"`
	DryRun          bool      `json:"dryRun"`
	Decision        string    `json:"decision"` // as sluice_reviews_total counts it
	Exempt          string    `json:"exempt,omitempty"`
	Failure         string    `json:"failure,omitempty"`
	Findings        []Finding `json:"findings,omitempty"`
	DurationSeconds float64   `json:"durationSeconds"`
	// Object is what was judged, on DELETE what goes; only if the log is told to keep objects.
	Object json.RawMessage `json:"object,omitempty"`
}

// Finding is what one policy found.
type Finding struct {
	Policy  string `json:"policy"`
	Action  string `json:"action"` // as sluice_findings_total counts it
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
	Excused string `json:"excused,omitempty"` // the GateException
}

// encode is the entry as a line. Of what is masked no value is in it.
func (l *Log) encode(entry Entry, object engine.Document) ([]byte, error) {
	if len(l.masks.pointers)+len(l.masks.annotations) > 0 {
		findings := make([]Finding, len(entry.Findings))
		for i, f := range entry.Findings {
			if l.masks.hides(f.Field) {
				f.Message = masked
			}
			findings[i] = f
		}
		entry.Findings = findings
	}
	if l.objects && object.Exists() {
		shown, err := l.masks.apply(object)
		if err != nil {
			return nil, err
		}
		entry.Object = shown
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	return append(line, '\n'), nil
}
