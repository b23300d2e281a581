package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// runReadme runs the sluice commands that README.md gives as examples; what they judge there are the samples here. None
// may end with "could not judge".
func runReadme(ctx context.Context, binary string) error {
	content, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	commands := regexp.MustCompile(`(?m)^(?:sluice|  run: sluice) ([^#\n]+)`).FindAllSubmatch(content, -1)
	if len(commands) == 0 {
		return errors.New("README.md has no sluice command")
	}
	var wrong []error
	for _, match := range commands {
		line := strings.TrimSpace(string(match[1]))
		args := strings.Fields(strings.ReplaceAll(line, "deploy/", "config/samples"))
		output, code, err := sluice(ctx, binary, args...)
		if err != nil {
			return err
		}
		if code != 0 && (code != 1 || args[0] != "check") {
			wrong = append(wrong, fmt.Errorf("README.md says sluice %s: exit code %d:\n%s", line, code, output))
		}
	}
	return errors.Join(append(wrong, readmePolicies(ctx, binary, content))...)
}

// readmePolicies checks the policies and exceptions that README.md shows, by using them.
func readmePolicies(ctx context.Context, binary string, content []byte) error {
	shown := regexp.MustCompile("(?s)```yaml\n(apiVersion: policy\\.sluice\\.dev.*?)```").FindAllSubmatch(content, -1)
	if len(shown) == 0 {
		return errors.New("README.md shows no policy")
	}
	file, err := os.CreateTemp("", "sluice-readme-*.yaml")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	for _, match := range shown {
		if _, err := fmt.Fprintf(file, "---\n%s", match[1]); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	output, code, err := sluice(ctx, binary, "check", "--policies", file.Name(), samplePath("08-orders-db.yaml"))
	if err == nil && code == 2 {
		err = fmt.Errorf("the policies in README.md: %s", output)
	}
	return err
}
