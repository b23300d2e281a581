package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/test/plane"
)

// refused is the sample that is denied for sure.
const refused = "01-shop-without-tls.yaml"

// shopDenied is what kubectl shows for it, as README.md does.
const shopDenied = `Error from server (Forbidden): error when creating "config/samples/01-shop-without-tls.yaml": ` +
	`admission webhook "validate.sluice.dev" denied the request:
ingress-tls-required: host "shop.example.com" is served without a certificate
    at  spec.rules[0].host
    fix add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}
`

// answer is what kubectl has to say to a sample under the baseline profile.
type answer struct {
	denied bool
	says   string   // what stderr has in it; empty means that stderr has to be empty
	stored []string // arguments of a kubectl that shows what Sluice made of it
	shows  string   // what that kubectl has to print
}

// answers are what config/samples has to lead to, by file.
func answers() map[string]answer {
	return map[string]answer{
		refused:                          {denied: true, says: shopDenied},
		"02-shop.yaml":                   {},
		"03-internet-in-two-halves.yaml": {denied: true, says: "networkpolicy-wildcard-egress: "},
		"04-egress-nobody-applies.yaml": {
			stored: []string{"get", "networkpolicy", "shop-egress", "-o", "jsonpath={.spec.policyTypes}"},
			shows:  `["Ingress","Egress"]`,
		},
		"05-wildcard-host.yaml":     {says: "Warning: ingress-wildcard-host: "},
		"06-no-https-redirect.yaml": {says: "Warning: ingress-https-redirect: "},
		"07-external-ips.yaml":      {denied: true, says: "service-external-ips: "},
		"08-orders-db.yaml":         {},
	}
}

func samplePath(name string) string {
	return filepath.Join("config", "samples", name)
}

// show applies every sample and compares the answers. A sample without an expected answer, or an answer without a
// sample, is an error too.
func show(ctx context.Context, out *screen, cluster *plane.Plane, binary string) error {
	names, err := sampleNames()
	if err != nil {
		return err
	}
	expected := answers()
	var wrong []error
	for _, name := range names {
		want, ok := expected[name]
		if !ok {
			wrong = append(wrong, fmt.Errorf("%s: test/demo does not say what its answer is", samplePath(name)))
			continue
		}
		delete(expected, name)
		if err := apply(ctx, out, cluster, name, want); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", samplePath(name), err))
		}
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
	}
	for name := range expected {
		wrong = append(wrong, fmt.Errorf("%s: no such file", samplePath(name)))
	}
	wrong = append(wrong, showPolicies(ctx, out, cluster), check(ctx, out, binary, names), runReadme(ctx, binary))
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	out.heading(fmt.Sprintf("%d answers, all as expected.", len(names)))
	return nil
}

// showPolicies shows that every policy of the profile is ready.
func showPolicies(ctx context.Context, out *screen, cluster *plane.Plane) error {
	out.heading("The policies behind these answers are objects of the cluster.")
	stdout, _, err := kubectl(ctx, out, cluster, "get", "gatepolicies")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n")[1:] {
		if fields := strings.Fields(line); len(fields) < 4 || fields[3] != "True" {
			return fmt.Errorf("a policy is not ready: %s", line)
		}
	}
	return nil
}

func sampleNames() ([]string, error) {
	paths, err := filepath.Glob(samplePath("*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list config/samples: %w", err)
	}
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = filepath.Base(path)
	}
	return names, nil
}

// apply shows one sample and its answer. The error says what should have been there.
func apply(ctx context.Context, out *screen, cluster *plane.Plane, name string, want answer) error {
	content, err := os.ReadFile(samplePath(name))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	out.heading(strings.TrimPrefix(first, "# "))

	_, stderr, err := kubectl(ctx, out, cluster, "apply", "-f", samplePath(name))
	wrong := compare(want, stderr, err)
	if wrong != nil || want.stored == nil {
		return wrong
	}
	stdout, _, err := kubectl(ctx, out, cluster, want.stored...)
	if err == nil && strings.TrimSpace(stdout) != want.shows {
		err = fmt.Errorf("stored is not %s", want.shows)
	}
	return err
}

// compare says what is not as wanted about the outcome of a `kubectl apply`.
func compare(want answer, stderr string, err error) error {
	switch {
	case want.denied && err == nil:
		return errors.New("should be denied")
	case !want.denied && err != nil:
		return errors.New("should be admitted")
	case want.says == "" && stderr != "":
		return errors.New("should be admitted without a word")
	case !strings.Contains(plainLines(stderr), want.says):
		return fmt.Errorf("should say %q", want.says)
	}
	return nil
}

// plainLines is text without blanks at the ends of lines.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// kubectl shows the command and what it prints.
func kubectl(ctx context.Context, out *screen, cluster *plane.Plane, args ...string) (stdout, stderr string, err error) {
	out.command("kubectl", args...)
	stdout, stderr, err = cluster.Kubectl(ctx, args...)
	out.output(stderr)
	out.output(stdout)
	return stdout, stderr, err
}

// check shows that the command line reaches the verdict of the webhook, and makes sure of it for every sample.
func check(ctx context.Context, out *screen, binary string, names []string) error {
	out.heading("The same verdict without a cluster, as in CI:")
	var wrong []error
	for _, name := range names {
		want := answers()[name]
		output, code, err := sluice(ctx, binary, "check", samplePath(name))
		if err != nil {
			return err
		}
		if name == refused {
			out.command("sluice", "check", samplePath(name))
			out.output(output)
		}
		if code != exitCode(want) {
			wrong = append(wrong, fmt.Errorf("sluice check %s: exit code %d, should be %d:\n%s",
				samplePath(name), code, exitCode(want), output))
		}
		for _, line := range findingLines(want) {
			if !strings.Contains(output, line) {
				wrong = append(wrong, fmt.Errorf("sluice check %s should say %q:\n%s", samplePath(name), line, output))
			}
		}
	}
	return errors.Join(wrong...)
}

func sluice(ctx context.Context, binary string, args ...string) (output string, code int, err error) {
	var combined bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = &combined, &combined
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return combined.String(), exit.ExitCode(), nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("run sluice %s: %w", args[0], err)
	}
	return combined.String(), 0, nil
}

func exitCode(want answer) int {
	if want.denied {
		return 1
	}
	return 0
}

// findingLines are the pieces of an expected answer that come from Sluice, not from kubectl.
func findingLines(want answer) []string {
	lines := strings.Split(strings.TrimPrefix(want.says, "Warning: "), "\n")
	return slices.DeleteFunc(lines, func(line string) bool {
		return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "Error from server")
	})
}
