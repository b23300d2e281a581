package report

import (
	"cmp"
	"net/url"
	"slices"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// sarifRules are the report's rules and one for each other policy among its results, each once, sorted by id.
func sarifRules(r Report) []Rule {
	rules := slices.Clone(r.Rules)
	for _, result := range r.Results {
		rule := Rule{ID: result.Policy, Severity: result.Severity}
		if rule.ID == "" {
			rule = Rule{ID: unjudged, Title: "What could not be judged is not known to be fine"}
		}
		rules = append(rules, rule)
	}
	// Stable: a Rule the caller gave comes before one made from a result.
	slices.SortStableFunc(rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(rules, func(a, b Rule) bool { return a.ID == b.ID })
}

func sarifRule(rule Rule) *sarif.ReportingDescriptor {
	title := cmp.Or(rule.Title, rule.ID)
	description := cmp.Or(rule.Description, title)
	level, score := sarifSeverity(rule.Severity)
	properties := sarif.NewPropertyBag().WithTags([]string{"kubernetes", "network", "security"})
	if score != "" {
		properties.Add("security-severity", score)
	}
	descriptor := sarif.NewRule(rule.ID).
		WithName(rule.ID).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(title)).
		WithFullDescription(sarif.NewMultiformatMessageString().WithText(description)).
		WithHelp(sarif.NewMultiformatMessageString().WithText(description)).
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level)).
		WithProperties(properties)
	// Anything but an absolute URI makes the whole log invalid.
	if uri, err := url.Parse(rule.HelpURI); err == nil && uri.IsAbs() {
		descriptor.WithHelpURI(rule.HelpURI)
	}
	return descriptor
}

// sarifSeverity is a rule's default level and the score that GitHub reads its severity from: over 9.0 critical, from 7.0
// high, from 4.0 medium, below low
// (https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
func sarifSeverity(severity string) (level, score string) {
	switch severity {
	case "critical":
		return sarif.LevelError, "9.5"
	case "high":
		return sarif.LevelError, "8.0"
	case "medium":
		return sarif.LevelWarning, "5.5"
	case "low":
		return sarif.LevelNote, "2.0"
	default:
		return sarif.LevelWarning, ""
	}
}
