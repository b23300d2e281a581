package schema_test

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	metaschema "k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRulesThatPass(t *testing.T) {
	parameters := map[string]any{
		"type":                 "object",
		"additionalProperties": false,
		"properties": map[string]any{
			"domains": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
		},
	}
	tests := []struct {
		name  string
		kinds []metaschema.GroupKind
		body  string
	}{
		{"field of a list", kindsOf(ingress), `input.request.object.spec.tls[_].hosts[_] == "a"`},
		{"some in", kindsOf(ingress), `some rule in input.request.object.spec.rules; rule.http.paths[_].path == "/"`},
		{"annotation", kindsOf(ingress), `input.request.object.metadata.annotations["x/y"] == "on"`},
		{"label by variable", kindsOf(ingress), `some k; input.request.object.metadata.labels[k] == "on"`},
		{"deletion", kindsOf(ingress), `input.request.object.metadata.deletionTimestamp`},
		{"label named in a selector", kindsOf(networkPolicy), `input.request.object.spec.podSelector.matchLabels.app == "a"`},
		{"int-or-string is a number", kindsOf(networkPolicy), `input.request.object.spec.egress[_].ports[_].port == 53`},
		{"int-or-string is a string", kindsOf(networkPolicy), `input.request.object.spec.egress[_].ports[_].port == "dns"`},
		{"int-or-string is ordered", kindsOf(networkPolicy), `input.request.object.spec.egress[_].ports[_].port > 1024`},
		{"targetPort", kindsOf(service), `input.request.object.spec.ports[_].targetPort == "http"`},
		{"old object on DELETE", kindsOf(ingress), `input.request.operation == "DELETE"; input.request.oldObject.spec.rules[_].host == "a"`},
		{"user's groups", kindsOf(ingress), `input.request.userInfo.groups[_] == "system:masters"`},
		{"user's extra", kindsOf(ingress), `input.request.userInfo.extra["example.com/key"][_] == "v"`},
		{"options", kindsOf(ingress), `input.request.options.fieldManager == "kubectl"`},
		{"namespace's label", kindsOf(ingress), `input.namespace.metadata.labels.team == "a"`},
		{"absent namespace", kindsOf(namespace), `is_null(input.namespace)`},
		{"old object present", kindsOf(namespace), `input.request.oldObject != null`},
		{"optional field", kindsOf(ingress), `not input.request.object.spec.tls`},
		{"object.get", kindsOf(ingress), `object.get(input.request.object, ["spec", "tls"], []) == []`},
		{"walk", kindsOf(ingress), `walk(input.request.object, [path, value]); path[0] == value`},
		{"parameters", kindsOf(ingress), `input.parameters.domains[_] == "example.com"`},
		{"pod's deep field", kindsOf(pod), `input.request.object.spec.containers[_].securityContext.capabilities.add[_] == "NET_RAW"`},
		{"cron job's pods", kindsOf(cronJob), `input.request.object.spec.jobTemplate.spec.template.spec.hostNetwork`},
		{"field of the second kind", kindsOf(pod, deployment), `input.request.object.spec.template.spec.hostNetwork`},
		{"field of the first kind", kindsOf(pod, deployment), `input.request.object.spec.hostNetwork`},
		{"unknown kind", kindsOf(gateway), `input.request.object.spec.listeners[_].anything == 1`},
		{"unknown kind beside a known one", kindsOf(ingress, gateway), `input.request.object.spec.listeners[_].anything == 1`},
		{"every", kindsOf(ingress), `every rule in input.request.object.spec.rules { rule.host != "" }`},
		{"whole object", kindsOf(ingress), `input.request.object == input.request.oldObject`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := compile(t, test.kinds, parameters, test.body); err != nil {
				t.Errorf("%s: %v", test.body, err)
			}
		})
	}
}

// TestComparisonsThatPass covers what OPA alone rejects because it takes listed fields as present
// and objects as not null.
func TestComparisonsThatPass(t *testing.T) {
	tests := []struct {
		name  string
		kinds []metaschema.GroupKind
		body  string
	}{
		{"null object", kindsOf(ingress), `input.request.oldObject == null`},
		{"null namespace", kindsOf(namespace), `input.namespace == null`},
		{"null for one of two kinds", kindsOf(pod, deployment), `null == input.request.oldObject`},
		{"empty selector", kindsOf(networkPolicy), `input.request.object.spec.podSelector == {}`},
		{"empty peer", kindsOf(networkPolicy), `input.request.object.spec.egress[_].to[_].namespaceSelector == {}`},
		{"empty rule", kindsOf(networkPolicy), `{} in input.request.object.spec.ingress`},
		{"list of an empty rule", kindsOf(networkPolicy), `input.request.object.spec.ingress == [{}]`},
		{"empty list", kindsOf(networkPolicy), `input.request.object.spec.ingress == []`},
		{"object with some fields", kindsOf(networkPolicy), `{"protocol": "UDP", "port": 53} in input.request.object.spec.egress[_].ports`},
		{"object pattern", kindsOf(networkPolicy), `{"matchLabels": labels} = input.request.object.spec.podSelector; labels.app == "a"`},
		{"argument pattern", kindsOf(networkPolicy), `selects_all(input.request.object.spec.podSelector)`},
		{"untyped argument", kindsOf(networkPolicy), `selector(input.request.object.spec) == {}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := compile(t, test.kinds, nil, test.body); err != nil {
				t.Errorf("%s: %v", test.body, err)
			}
		})
	}
}

func TestRulesThatFail(t *testing.T) {
	parameters := map[string]any{
		"type":                 "object",
		"additionalProperties": false,
		"properties":           map[string]any{"domains": map[string]any{"type": "array"}},
	}
	tests := []struct {
		name  string
		kinds []metaschema.GroupKind
		body  string
		field string // the element of the reference that the error points at
		oneOf string // a field that the error offers
	}{
		{"spec", kindsOf(ingress), `input.request.object.spec.tlss[_].hosts`, "tlss", "tls"},
		{"below a list", kindsOf(ingress), `input.request.object.spec.tls[_].host == "a"`, "host", "hosts"},
		{"through a variable", kindsOf(ingress), `some rule in input.request.object.spec.rules; rule.hosts`, "hosts", "host"},
		{"in a comprehension", kindsOf(ingress), `count([h | h := input.request.object.spec.rules[_].hots]) > 0`, "hots", "host"},
		{"old object", kindsOf(networkPolicy), `input.request.oldObject.spec.egres`, "egres", "egress"},
		{"metadata", kindsOf(ingress), `input.request.object.metadata.label.app`, "label", "labels"},
		{"managedFields", kindsOf(ingress), `input.request.object.metadata.managedFields`, "managedFields", "labels"},
		{"user", kindsOf(ingress), `input.request.userInfo.user == "a"`, "user", "username"},
		{"request", kindsOf(ingress), `input.request.oldobject.spec`, "oldobject", "oldObject"},
		{"input", kindsOf(ingress), `input.review.object.spec`, "review", "request"},
		{"namespace", kindsOf(ingress), `input.namespace.labels.team`, "labels", "metadata"},
		{"parameters", kindsOf(ingress), `input.parameters.domain[_] == "a"`, "domain", "domains"},
		{"kind without status", kindsOf(networkPolicy), `input.request.object.status`, "status", "spec"},
		{"collection of every", kindsOf(ingress), `every rule in input.request.object.spec.ruls { rule.host != "" }`, "ruls", "rules"},
		{"not", kindsOf(ingress), `some rule in input.request.object.spec.rules; not rule.hots`, "hots", "host"},
		{"helper rule", kindsOf(ingress), `spec.tlss`, "tlss", "tls"},
		{"both kinds", kindsOf(pod, deployment), `input.request.object.spec.templat`, "templat", "template"},
		{"deep in the second kind", kindsOf(pod, deployment), `input.request.object.spec.template.spec.hostNet`, "hostNet", "hostNetwork"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := compile(t, test.kinds, parameters, test.body)
			detail := invalidRef(t, err)
			if got := detail.Ref[detail.Pos].Value; got.Compare(ast.String(test.field)) != 0 {
				t.Errorf("the error points at %v, want %q: %v", got, test.field, err)
			}
			if !offers(detail, test.oneOf) {
				t.Errorf("the error doesn't offer %q: %v", test.oneOf, err)
			}
		})
	}
}

// TestMessage pins what a rule's author reads.
func TestMessage(t *testing.T) {
	err := compile(t, kindsOf(ingress), nil, `input.request.object.spec.tlss[_].hosts`)
	const want = "rule.rego:4: rego_type_error: undefined ref: input.request.object.spec.tlss[_].hosts\n" +
		"\tinput.request.object.spec.tlss[_].hosts\n" +
		"\t                          ^\n" +
		"\t                          have: \"tlss\"\n" +
		"\t                          want (one of): [\"defaultBackend\" \"ingressClassName\" \"rules\" \"tls\"]"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestWrongTypes(t *testing.T) {
	tests := map[string]string{
		"null for a string":      `input.request.object.spec.ingressClassName == null`,
		"object with a typo":     `input.request.object.spec.defaultBackend == {"services": {}}`,
		"object with a bad type": `input.request.object.spec.defaultBackend == {"service": "a"}`,
		"object in a list":       `{"hots": ["a"]} in input.request.object.spec.tls`,
		"list with a bad item":   `input.request.object.spec.tls == ["a"]`,
		"too many arguments":     `selector(input.request.object.spec, 1, 2)`,
		"too few arguments":      `startswith(input.request.object.spec.ingressClassName)`,
		"argument of a bad type": `selects_all(input.request.object.spec.tls)`,
		"string for a list":      `input.request.object.spec.rules == "a"`,
		"number for a string":    `input.request.object.spec.rules[_].host == 1`,
		"field of a string":      `input.request.object.spec.rules[_].host.name`,
		"built-in for strings":   `startswith(input.request.object.spec.rules, "a")`,
		"undeclared parameters":  `input.parameters.domains[_]`,
		"parameters as a whole":  `input.parameters == {}`,
		"bool for int-or-string": `input.request.object.spec.rules[_].http.paths[_].backend.service.port.number == true`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			if err := compile(t, kindsOf(ingress), nil, body); err == nil {
				t.Errorf("%s compiled", body)
			}
		})
	}
}

// TestKnownGaps lists mistakes that OPA 1.22 doesn't see: it infers no type for the variables of
// every and for a function's parameters. When one of them fails, the gap is closed: move it to
// TestRulesThatFail.
func TestKnownGaps(t *testing.T) {
	tests := map[string]string{
		"variable of every":  `every rule in input.request.object.spec.rules { rule.hots != "" }`,
		"function parameter": `selector(input.request.object.spec) == {}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			if err := compile(t, kindsOf(ingress), nil, body); err != nil {
				t.Errorf("%s is an error now: %v", body, err)
			}
		})
	}
}
