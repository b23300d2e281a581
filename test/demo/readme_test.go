package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What README.md shows is what there is.
func TestReadme(t *testing.T) {
	readme := read(t, "../../README.md")
	for name, text := range map[string]string{
		"the denial that the demo expects": shopDenied,
		"a rule as it is": "```rego\n" +
			read(t, "../../rego/networkpolicy/policy_types/policy_types.rego") + "```",
	} {
		if !strings.Contains(readme, text) {
			t.Errorf("README.md lacks %s:\n%s", name, text)
		}
	}

	makefile := read(t, "../../Makefile")
	for _, match := range regexp.MustCompile(`(?m)^make ([a-z]+)`).FindAllStringSubmatch(readme, -1) {
		if !strings.Contains(makefile, "\n"+match[1]+":") {
			t.Errorf("README.md says make %s, which the Makefile does not know", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`\]\(([a-zA-Z][^)]*)\)`).FindAllStringSubmatch(readme, -1) {
		if strings.HasPrefix(match[1], "https://") {
			continue
		}
		if _, err := os.Stat("../../" + match[1]); err != nil {
			t.Errorf("README.md links to what is not there: %v", err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
