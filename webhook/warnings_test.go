package webhook

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sluice-gate/sluice/policies"
)

func TestWarningLine(t *testing.T) {
	long := strings.Repeat("m", maxWarning)
	tests := map[string]struct {
		finding policies.Finding
		want    string
	}{
		"whole":           {policies.Finding{Message: "bad", Fix: "do this"}, "p: bad (do this)"},
		"no fix":          {policies.Finding{Message: "bad", Field: "spec"}, "p: bad"},
		"lines":           {policies.Finding{Message: " a\r\n  b\t", Fix: "spec:\n  tls:"}, "p: a b (spec: tls:)"},
		"control":         {policies.Finding{Message: "a\x00\x1b[31mb\u0085c\u2028d\u202ee"}, "p: a [31mb c d e"},
		"invalid":         {policies.Finding{Message: "a\xffb"}, "p: a\ufffdb"},
		"fits":            {policies.Finding{Message: long[:maxWarning-8], Fix: "xx"}, "p: " + long[:maxWarning-8] + " (xx)"},
		"fix goes first":  {policies.Finding{Message: long[:maxWarning-7], Fix: "xx"}, "p: " + long[:maxWarning-7]},
		"then its end":    {policies.Finding{Message: long, Fix: "x"}, "p: " + long[:maxWarning-6] + "…"},
		"between letters": {policies.Finding{Message: strings.Repeat("ä", maxWarning)}, "p: " + strings.Repeat("ä", (maxWarning-6)/2) + "…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.finding.Policy = "p"
			got := warningLine(test.finding)
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if len(got) > maxWarning || !utf8.ValidString(got) {
				t.Errorf("%d bytes: %q", len(got), got)
			}
			if _, err := utilnet.NewWarningHeader(299, "-", got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWarningsTogether(t *testing.T) {
	var findings []policies.Finding
	for i := range 50 {
		findings = append(findings, policies.Finding{Policy: "p", Message: fmt.Sprintf("%02d%s", i, strings.Repeat("m", 200))})
	}
	total := func(lines []string) int { return len(strings.Join(lines, "")) }
	few := warnings(findings[:19])
	if len(few) != 19 || total(few) > maxWarnings {
		t.Errorf("%d of 19 that fit, %d bytes", len(few), total(few))
	}
	many := warnings(findings)
	last := fmt.Sprintf("sluice: %d more warnings, see all with `sluice check`", 50-len(many)+1)
	if total(many) > maxWarnings || len(many) < 19 || many[len(many)-1] != last {
		t.Errorf("%d lines, %d bytes, the last is %q, want %q", len(many), total(many), many[len(many)-1], last)
	}
	same := []policies.Finding{findings[0], findings[1], findings[0]}
	if got := warnings(same); len(got) != 2 {
		t.Errorf("repeated: %q", got)
	}
	if got := warnings(nil); got != nil {
		t.Errorf("none: %q", got)
	}
}

func TestAuditAnnotations(t *testing.T) {
	long := strings.Repeat("long.", 20) + "name"
	findings := []policies.Finding{
		{Policy: "a", Effect: policies.EffectAudit, Message: "opens\n10.0.0.0/8", Field: "spec.egress[0]"},
		{Policy: "a", Effect: policies.EffectAudit, Message: "and more"},
		{Policy: "b.c", Effect: policies.EffectAudit, Message: "no TLS", Excused: "legacy: until the move"},
		{Policy: long, Effect: policies.EffectAudit, Message: strings.Repeat("ä", maxAnnotation)},
	}
	got := auditAnnotations(findings)
	want := []annotation{
		{"a", "spec.egress[0]: opens 10.0.0.0/8; and more"},
		{"b.c", "excused by legacy: until the move: no TLS"},
		{annotationKey(long), strings.Repeat("ä", (maxAnnotation-3)/2) + "…"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(annotation{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var many []policies.Finding
	for i := range maxAnnotations + 5 {
		many = append(many, policies.Finding{Policy: fmt.Sprintf("p%02d", i), Message: "m"})
	}
	if got := auditAnnotations(many); len(got) != maxAnnotations+1 || got[maxAnnotations] != (annotation{moreKey, "5 more policies"}) {
		t.Errorf("%d annotations, the last is %v", len(got), got[len(got)-1])
	}
}

func TestAnnotationKeysAreQualifiedNames(t *testing.T) {
	seen := map[string]string{}
	for _, policy := range []string{"a", "ingress-tls-required", "", "-", "ä", "ö", "_", "a_b", "a-b", "a.", "a b", strings.Repeat("x", 63),
		strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x.", 100), "and_more", "and-more"} {
		key := annotationKey(policy)
		if problems := validation.IsQualifiedName("validate.sluice.dev/" + key); len(problems) > 0 {
			t.Errorf("%q: %q: %v", policy, key, problems)
		}
		if other, taken := seen[key]; taken || key == moreKey {
			t.Errorf("%q and %q both are %q", policy, other, key)
		}
		seen[key] = policy
	}
}
