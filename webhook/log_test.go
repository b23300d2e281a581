package webhook

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"github.com/sluice-gate/sluice/policies"
)

func logTo(out *bytes.Buffer, verbosity int) logr.Logger {
	return funcr.New(func(_, args string) { out.WriteString(args + "\n") }, funcr.Options{Verbosity: verbosity})
}

func TestDecisionsAreLogged(t *testing.T) {
	keys := `"kind"="networking.k8s.io/Ingress" "namespace"="shop" "name"="web" "operation"="CREATE" "user"="kubernetes-admin" "requestID"="` + shopUID + `"`
	denial := policies.Finding{Policy: "a", Effect: policies.EffectDeny, Message: "secret"}
	second := denial
	second.Policy = "b"
	tests := map[string]struct {
		decision policies.Decision
		want     string
	}{
		"deny":    {policies.Decision{Judged: true, Findings: []policies.Finding{denial, denial, second}}, `"level"=0 "msg"="request denied" ` + keys + ` "policy"="a,b"`},
		"failure": {policies.Decision{Judged: true, Failure: "why"}, `"level"=0 "msg"="request denied" ` + keys + ` "policy"="" "failure"="why"`},
		"failed": {policies.Decision{Judged: true, Findings: []policies.Finding{{Policy: "a", Effect: policies.EffectWarn, Failed: true}}},
			`"level"=0 "msg"="request allowed though policies could not be judged" ` + keys + ` "policy"="a"`},
		"allow":  {policies.Decision{Judged: true}, `"level"=1 "msg"="request allowed" ` + keys + ` "policy"="" "exempt"=""`},
		"exempt": {policies.Decision{Judged: true, Exempt: "x"}, `"level"=1 "msg"="request allowed" ` + keys + ` "policy"="" "exempt"="x"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var lines bytes.Buffer
			handlers, _ := handlersOf(t, deciding(test.decision), func(o *Options) { o.Log = logTo(&lines, 1) })
			post(handlers.Validate, shopReview)
			if got := strings.TrimSpace(lines.String()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			lines.Reset()
			handlers, _ = handlersOf(t, deciding(test.decision), func(o *Options) { o.Log = logTo(&lines, 0) })
			post(handlers.Validate, shopReview)
			if quiet := lines.Len() == 0; quiet != strings.Contains(test.want, `"level"=1`) {
				t.Errorf("at V(0): %s", lines.String())
			}
		})
	}
}
