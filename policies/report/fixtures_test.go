package report

import "slices"

// fixtures are the reports that the golden files and the tests of single formats share.
func fixtures() map[string]Report {
	return map[string]Report{"empty": {}, "shop": shop(), "hostile": hostile()}
}

// shop has every action, a repeated object, findings out of order, a policy without a Rule and a file that is no YAML.
func shop() Report {
	web := Result{
		File: "shop.yaml", Line: 7, Column: 5, APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop",
		Name: "web", Policy: "ingress-tls-required", Action: ActionDeny, Severity: "high",
		Message: `host "shop.example.com" is served without a certificate`, Field: "spec.rules[0].host",
		Fix: "add to spec.tls: {hosts: [shop.example.com], secretName: shop-example-com-tls}",
	}
	admin := web
	admin.Line, admin.Field = 9, "spec.rules[1].host"
	admin.Message = `host "admin.example.com" is served without a certificate`
	admin.Fix = "spec:\n  tls:\n  - hosts: [admin.example.com]\n"
	redirect := web
	redirect.Line, redirect.Column, redirect.Policy, redirect.Action = 2, 1, "ingress-https-redirect", ActionWarn
	redirect.Severity, redirect.Message, redirect.Field, redirect.Fix = "medium", "plain HTTP is not redirected", "", ""
	opens := Result{
		File: "./net/policy.yaml", Line: 12, Column: 3, APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy",
		Namespace: "shop", Name: "web", Policy: "networkpolicy-opens", Action: ActionAudit, Severity: "low",
		Message: "opens 10.0.0.0/8\n  TCP 1-65535", Field: "spec.egress[0].to[0]",
	}
	failed := opens
	failed.Policy, failed.Action, failed.Line, failed.Severity = "service-nodeport", ActionError, 20, "high"
	failed.APIVersion, failed.Kind, failed.Name, failed.Field = "v1", "Service", "db", ""
	failed.Message = "could not judge: namespace labels of shop are not known"
	failed.Fix = "give the Namespace with --state"
	denied := failed
	denied.Policy, denied.Action, denied.Message, denied.Fix = "service-external-ips", ActionDeny, "has external IPs", ""
	unread := Result{File: "broken.yaml", Line: 3, Action: ActionError, Message: "yaml: mapping values are not allowed"}
	policy := Result{Action: ActionError, Message: "policy \"x\" does not compile", Policy: "x"}
	return Report{
		Results: []Result{denied, admin, failed, unread, web, redirect, opens, policy},
		Patched: []Patched{
			{File: "shop.yaml", Line: 2, Column: 1, Kind: "Ingress", Namespace: "shop", Name: "web",
				Policy: "ingress-enforce-redirect", Op: "add",
				Path:  "/metadata/annotations/nginx.ingress.kubernetes.io~1force-ssl-redirect",
				Value: map[string]any{"b": "<2>", "a": true}},
			{File: "shop.yaml", Line: 2, Column: 1, Kind: "Ingress", Namespace: "shop", Name: "web",
				Policy: "ingress-enforce-redirect", Op: "remove", Path: "/metadata/annotations/old"},
		},
		Objects: []ObjectRef{
			{File: "shop.yaml", Line: 30, APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "web"},
			{File: "shop.yaml", Line: 2, APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "web"},
			{File: "./net/policy.yaml", Line: 1, APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy",
				Namespace: "shop", Name: "web"},
			{File: "./net/policy.yaml", Line: 18, APIVersion: "v1", Kind: "Service", Namespace: "shop", Name: "db"},
		},
		Summary:      Summary{Objects: 4, Denied: 2, Warned: 1, Errors: 3, Skipped: 3},
		SkippedKinds: []SkippedKind{{What: "not a Kubernetes object", Count: 1}, {What: "apps/Deployment", Count: 2}},
		Rules: []Rule{
			{ID: "service-nodeport", Title: "No NodePort", Description: "A NodePort is open on every node.",
				Severity: "high", HelpURI: "https://example.com/service-nodeport"},
			{ID: "ingress-tls-required", Title: "Every host an Ingress serves is covered by a certificate",
				Description: "Without one …", Severity: "critical", HelpURI: "no uri"},
			{ID: "unused", Title: "Never broken"},
		},
		ToolVersion: "1.2.3",
	}
}

// attack is text that breaks out wherever it isn't escaped.
const attack = "a\x1b[31mred\r\n::error file=x::y\n    fix rm -rf /\n##vso[task.setvariable]%0A::z\n]]><evil a=\"'&>" +
	"\x00\x07\x7f\x9b\xff\u009b\u202e\u2028\u00a0\U000e0041\ufffe[link](https://evil),:é"

func hostile() Report {
	finding := Result{
		File: "::warning::" + attack, Line: -1, Column: -1, APIVersion: attack, Kind: attack, Namespace: attack,
		Name: attack, Policy: attack, Action: attack, Message: attack, Field: attack, Fix: attack, Severity: attack,
	}
	var results []Result
	for _, action := range []string{attack, ActionWarn, ActionAudit, ActionError} {
		finding.Action = action
		results = append(results, finding)
	}
	return Report{
		Results: results,
		Patched: []Patched{{File: attack, Kind: attack, Namespace: attack, Name: attack, Policy: attack, Op: attack,
			Path: attack, Value: attack}},
		Objects:      []ObjectRef{{File: attack, APIVersion: attack, Kind: attack, Namespace: attack, Name: attack}},
		Summary:      Summary{Objects: 1, Denied: 1, Warned: 1, Errors: 1, Skipped: 1},
		SkippedKinds: []SkippedKind{{What: attack, Count: 1}},
		Rules:        []Rule{{ID: attack, Title: attack, Description: attack, Severity: attack, HelpURI: attack}},
		ToolVersion:  attack,
	}
}

// reversed is r with every slice the other way round.
func reversed(r Report) Report {
	r.Results, r.Patched, r.Objects = slices.Clone(r.Results), slices.Clone(r.Patched), slices.Clone(r.Objects)
	r.SkippedKinds, r.Rules = slices.Clone(r.SkippedKinds), slices.Clone(r.Rules)
	slices.Reverse(r.Results)
	slices.Reverse(r.Patched)
	slices.Reverse(r.Objects)
	slices.Reverse(r.SkippedKinds)
	slices.Reverse(r.Rules)
	return r
}
