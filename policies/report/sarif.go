package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

const (
	toolName       = "sluice"
	toolURI        = "https://github.com/sluice-gate/sluice"
	sarifSchema    = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sourceRoot     = "%SRCROOT%"
	fingerprintKey = "sluiceFinding/v1"
)

// writeSARIF prints one SARIF 2.1.0 run. Its rules are r.Rules and one per policy that has results but no Rule. A result
// that could not be judged is a notification of the run, which was then not successful, and, where it has a file to
// point at, a result too, for viewers show only those.
func writeSARIF(out *bytes.Buffer, r Report) error {
	rules := sarifRules(r)
	index := map[string]int{}
	run := sarif.NewRunWithInformationURI(toolName, toolURI)
	if r.ToolVersion != "" {
		run.Tool.Driver.WithVersion(r.ToolVersion)
	}
	run.WithColumnKind("unicodeCodePoints")
	for i, rule := range rules {
		index[rule.ID] = i
		run.Tool.Driver.AddRule(sarifRule(rule))
	}
	invocation := sarif.NewInvocation().WithExecutionSuccessful(r.Summary.Errors == 0)
	for _, result := range r.Results {
		at := index[policyOrUnjudged(result.Policy)]
		if result.Action == ActionError {
			invocation.WithExecutionSuccessful(false)
			invocation.AddToolExecutionNotification(sarifNotification(result, at))
		}
		if result.Action != ActionError || result.File != "" {
			run.AddResult(sarifResult(result, at))
		}
	}
	run.AddInvocation(invocation)
	log := sarif.NewReport().AddRun(run)
	log.Schema = sarifSchema
	return encodeJSON(out, log)
}

func sarifResult(r Result, ruleIndex int) *sarif.Result {
	properties := sarif.NewPropertyBag()
	for _, property := range [...]struct{ key, value string }{
		{"action", r.Action}, {"severity", r.Severity}, {"field", r.Field}, {"fix", r.Fix},
		{"apiVersion", r.APIVersion}, {"kind", r.Kind}, {"namespace", r.Namespace}, {"name", r.Name},
	} {
		if property.value != "" {
			properties.Add(property.key, property.value)
		}
	}
	return sarif.NewRuleResult(policyOrUnjudged(r.Policy)).
		WithRuleIndex(ruleIndex).
		WithLevel(sarifLevel(r.Action)).
		WithMessage(sarif.NewTextMessage(sarifText(r))).
		WithLocations(sarifLocations(r)).
		WithPartialFingerprints(map[string]string{fingerprintKey: fingerprint(r)}).
		WithProperties(properties)
}

func sarifNotification(r Result, ruleIndex int) *sarif.Notification {
	return sarif.NewNotification().
		WithLevel(sarif.LevelError).
		WithMessage(sarif.NewTextMessage(sarifText(r))).
		WithLocations(sarifLocations(r)).
		WithAssociatedRule(sarif.NewReportingDescriptorReference().
			WithID(policyOrUnjudged(r.Policy)).WithIndex(ruleIndex))
}

func sarifLevel(action string) string {
	switch action {
	case ActionWarn:
		return sarif.LevelWarning
	case ActionAudit:
		return sarif.LevelNote
	default:
		return sarif.LevelError
	}
}

// sarifText is the message with field and fix below it. Viewers make a link of `[text](target)` in a plain message: a
// message from a file gets none. Braces are not doubled, though the specification wants it: viewers show them as they
// are, and a fix is there to be pasted.
func sarifText(r Result) string {
	lines := append(headed("", r.Message), details(r)...)
	return strings.ReplaceAll(strings.Join(lines, "\n"), "](", "] (")
}

// sarifLocations is the place in the file and the object there; neither is there for a result without a file.
func sarifLocations(r Result) []*sarif.Location {
	if r.File == "" {
		return []*sarif.Location{}
	}
	location := sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
		WithArtifactLocation(sarifArtifact(r.File)).
		WithRegion(sarif.NewRegion().WithStartLine(max(r.Line, 1)).WithStartColumn(max(r.Column, 1))))
	if object := objectName(r.Kind, r.Namespace, r.Name); object != "" {
		location.AddLogicalLocation(sarif.NewLogicalLocation().
			WithKind("resource").WithName(oneLine(r.Name)).WithFullyQualifiedName(object))
	}
	return []*sarif.Location{location}
}

// sarifArtifact points below the root of the sources, or, given an absolute path, anywhere.
func sarifArtifact(file string) *sarif.ArtifactLocation {
	slashed := slashPath(file)
	if filepath.IsAbs(file) {
		absolute := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(slashed, "/")}
		return sarif.NewSimpleArtifactLocation(absolute.String())
	}
	relative := url.URL{Path: slashed}
	return sarif.NewSimpleArtifactLocation(relative.String()).WithURIBaseID(sourceRoot)
}

// fingerprint is the same for the same finding on the same object, wherever in the file the object has moved to.
func fingerprint(r Result) string {
	hash := sha256.New()
	for _, part := range []string{r.Policy, r.APIVersion, r.Kind, r.Namespace, r.Name, r.Field, r.Message} {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}
