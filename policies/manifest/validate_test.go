package manifest

import (
	"strings"
	"testing"
)

func TestValidateNetworkPolicy(t *testing.T) {
	const head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n"
	egress := func(rule string) string { return head + "  egress:\n  - " + rule + "\n" }
	const supported = `supported values: "SCTP", "TCP", "UDP"`
	cases := []decodeCase{
		{"no CIDR at all", egress("to: [{ipBlock: {cidr: everything}}]"), `f.yaml:7:21: spec.egress[0].to[0].ipBlock.cidr: invalid value: "everything": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"address", egress("to: [{ipBlock: {cidr: 10.0.0.1}}]"), `f.yaml:7:21: spec.egress[0].to[0].ipBlock.cidr: invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"prefix too long", egress("to: [{ipBlock: {cidr: 10.0.0.0/33}}]"), `f.yaml:7:21: spec.egress[0].to[0].ipBlock.cidr: invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"no CIDR given", egress("to: [{ipBlock: {}}]"), `f.yaml:7:11: spec.egress[0].to[0].ipBlock.cidr: required value: a CIDR such as 10.0.0.0/8`},
		{"legacy forms", egress("to: [{ipBlock: {cidr: 010.0.0.1/08, except: [10.1.2.3/16]}}, {ipBlock: {cidr: '::ffff:10.0.0.0/104'}}]"), ""},
		{"except outside", egress("to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 11.0.0.0/16, 10.0.0.0/8, x]}}]"),
			"f.yaml:7:61: spec.egress[0].to[0].ipBlock.except[1]: invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`, 10.0.0.0/8\n" +
				"f.yaml:7:74: spec.egress[0].to[0].ipBlock.except[2]: invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`, 10.0.0.0/8\n" +
				`f.yaml:7:86: spec.egress[0].to[0].ipBlock.except[3]: invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"empty peer", egress("to: [{}]"), "f.yaml:7:10: spec.egress[0].to[0]: required value: must specify a peer: ipBlock, podSelector or namespaceSelector"},
		{"two peers in one", egress("to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]"), "f.yaml:7:10: spec.egress[0].to[0]: forbidden: may not specify both ipBlock and another peer; make them two items"},
		{"port 0", egress("ports: [{port: 0}]"), "f.yaml:7:14: spec.egress[0].ports[0].port: invalid value: 0: must be between 1 and 65535, inclusive"},
		{"port too large", egress("ports: [{port: 65536}]"), "f.yaml:7:14: spec.egress[0].ports[0].port: invalid value: 65536: must be between 1 and 65535, inclusive"},
		{"port as text", egress("ports: [{port: '80'}]"), "f.yaml:7:14: spec.egress[0].ports[0].port: invalid value: \"80\": must contain at least one letter (a-z)"},
		{"protocol in lower case", egress("ports: [{protocol: tcp}]"), `f.yaml:7:14: spec.egress[0].ports[0].protocol: unsupported value: "tcp": ` + supported},
		{"range backwards", egress("ports: [{port: 90, endPort: 80}]"), "f.yaml:7:24: spec.egress[0].ports[0].endPort: invalid value: 80: must be greater than or equal to `port`"},
		{"range of a name", egress("ports: [{port: web, endPort: 80}]"), "f.yaml:7:25: spec.egress[0].ports[0].endPort: invalid value: 80: needs a numeric `port`; a named port has no range"},
		{"range without start", egress("ports: [{endPort: 80}]"), "f.yaml:7:14: spec.egress[0].ports[0].endPort: invalid value: 80: needs `port`, the first port of the range"},
		{"policy types", head + "  policyTypes: [Ingress, egress]\n", `f.yaml:6:26: spec.policyTypes[1]: unsupported value: "egress": supported values: "Egress", "Ingress"`},
		{"selector operator", head + "  ingress:\n  - from: [{namespaceSelector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}}]\n",
			`f.yaml:7:61: spec.ingress[0].from[0].namespaceSelector.matchExpressions[0].operator: invalid value: "Is": not a valid selector operator`},
		{"In without values", head + "  ingress:\n  - from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]\n",
			"f.yaml:7:46: spec.ingress[0].from[0].podSelector.matchExpressions[0].values: required value: must be specified when `operator` is 'In' or 'NotIn'"},
		{"name", strings.Replace(head, "name: a", "name: A", 1), "f.yaml:3:12: metadata.name: invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
	}
	runDecodeCases(t, cases)
}

func runDecodeCases(t *testing.T, cases []decodeCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, problems := decodeText(t, c.text, Options{})
			wantStrings(t, problemStrings(problems), c.want)
		})
	}
}

func TestValidateIngress(t *testing.T) {
	const head = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n"
	const backend = "backend: {service: {name: s, port: {number: 80}}}"
	host := func(h string) string { return head + "  rules: [{host: " + h + "}]\n" }
	path := func(p string) string { return head + "  rules: [{http: {paths: [{" + p + "}]}}]\n" }
	const want = "must be a DNS name such as shop.example.com, or a wildcard such as *.example.com"
	const subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	const wildcard = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	at := "f.yaml:5:12: spec.rules[0].host: invalid value: "
	runDecodeCases(t, []decodeCase{
		{"nothing", head + "  tls: []\n", "f.yaml:4:1: spec: required value: `rules` or `defaultBackend` must be specified"},
		{"wildcard", host("'*.example.com'"), ""},
		{"no host", host("''"), ""},
		{"address", host("192.0.2.1"), at + `"192.0.2.1": must be a DNS name, not an IP address`},
		{"IPv6 address", host("'[2001:db8::1]'"), at + `"[2001:db8::1]": must be a DNS name, not an IP address`},
		{"port", host("'a.example.com:443'"), at + `"a.example.com:443": ` + want + "; remove the port"},
		{"scheme", host("'https://a.example.com'"), at + `"https://a.example.com": ` + want + "; remove the scheme"},
		{"path in the host", host("a.example.com/x"), at + `"a.example.com/x": ` + want + "; the path goes into http.paths"},
		{"upper case", host("A.example.com"), at + `"A.example.com": ` + subdomain},
		{"wildcard inside", host("a.*.example.com"), at + `"a.*.example.com": ` + wildcard},
		{"TLS host", head + "  defaultBackend: {service: {name: s, port: {number: 80}}}\n  tls: [{hosts: ['a:1'], secretName: S}]\n",
			"f.yaml:6:18: spec.tls[0].hosts[0]: invalid value: \"a:1\": " + want + "; remove the port\n" +
				"f.yaml:6:26: spec.tls[0].secretName: invalid value: \"S\": " + subdomain},
		{"no pathType", path("path: /, " + backend), "f.yaml:5:27: spec.rules[0].http.paths[0].pathType: required value: Prefix, Exact or ImplementationSpecific; there is no default"},
		{"unknown pathType", path("pathType: Regex, path: /, " + backend), `f.yaml:5:28: spec.rules[0].http.paths[0].pathType: unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`},
		{"relative path", path("pathType: Exact, path: a, " + backend), `f.yaml:5:45: spec.rules[0].http.paths[0].path: invalid value: "a": must be an absolute path: it begins with /`},
		{"relative specific path", path("pathType: ImplementationSpecific, path: a, " + backend), `f.yaml:5:62: spec.rules[0].http.paths[0].path: invalid value: "a": must be an absolute path: it begins with /`},
		{"no specific path", path("pathType: ImplementationSpecific, " + backend), ""},
		{"ambiguous path", path("pathType: Exact, path: /a//b/.., " + backend), `f.yaml:5:45: spec.rules[0].http.paths[0].path: invalid value: "/a//b/..": must not contain "//"` + "\n" +
			`f.yaml:5:45: spec.rules[0].http.paths[0].path: invalid value: "/a//b/..": must not end with "/.."`},
		{"no paths", head + "  rules: [{http: {}}]\n", "f.yaml:5:12: spec.rules[0].http.paths: required value: at least one path"},
		{"no backend", path("pathType: Exact, path: /"), "f.yaml:5:27: spec.rules[0].http.paths[0].backend: required value: service or resource: {service: {name: …, port: {number: …}}}"},
		{"backend without port", path("pathType: Exact, path: /, backend: {service: {name: s}}"), "f.yaml:5:64: spec.rules[0].http.paths[0].backend.service.port: required value: name or number of the Service's port"},
		{"backend with two ports", path("pathType: Exact, path: /, backend: {service: {name: s, port: {name: web, number: 1}}}"), "f.yaml:5:83: spec.rules[0].http.paths[0].backend.service.port: forbidden: may not specify both name and number"},
		{"backend port", path("pathType: Exact, path: /, backend: {service: {name: s, port: {number: 70000}}}"), "f.yaml:5:90: spec.rules[0].http.paths[0].backend.service.port.number: invalid value: 70000: must be between 1 and 65535, inclusive"},
		{"resource backend", path("pathType: Exact, path: /, backend: {resource: {kind: K, name: s}}"), ""},
		{"both backends", path("pathType: Exact, path: /, backend: {resource: {kind: K, name: s}, service: {name: s, port: {number: 1}}}"), "f.yaml:5:54: spec.rules[0].http.paths[0].backend: forbidden: may not specify both service and resource"},
	})
}

func TestValidateService(t *testing.T) {
	const head = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n"
	const port = "  ports: [{port: 80}]\n"
	const cidr = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
	runDecodeCases(t, []decodeCase{
		{"type", head + port + "  type: Nodeport\n", `f.yaml:6:3: spec.type: unsupported value: "Nodeport": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`},
		{"no ports", head + "  type: NodePort\n", "f.yaml:4:1: spec.ports: required value: at least one port"},
		{"headless", head + "  clusterIP: None\n", ""},
		{"headless node port", head + port + "  clusterIP: None\n  type: NodePort\n", `f.yaml:6:3: spec.clusterIP: invalid value: "None": may not be None for a Service of type NodePort`},
		{"port", head + "  ports: [{port: 0}]\n", "f.yaml:5:12: spec.ports[0].port: invalid value: 0: must be between 1 and 65535, inclusive"},
		{"target port", head + "  ports: [{port: 1, targetPort: 70000}]\n", "f.yaml:5:21: spec.ports[0].targetPort: invalid value: 70000: must be between 1 and 65535, inclusive"},
		{"protocol", head + "  ports: [{port: 1, protocol: HTTP}]\n", `f.yaml:5:21: spec.ports[0].protocol: unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"`},
		{"the same port twice", head + "  ports: [{name: a, port: 1}, {name: a, port: 1}]\n", `f.yaml:5:31: spec.ports[1]: duplicate value: "TCP 1"` + "\n" + `f.yaml:5:32: spec.ports[1].name: duplicate value: "a"`},
		{"node port of a cluster IP", head + "  ports: [{port: 1, nodePort: 30000}]\n", "f.yaml:5:21: spec.ports[0].nodePort: forbidden: may not be used when `type` is ClusterIP"},
		{"node port", head + "  type: NodePort\n  ports: [{port: 1, nodePort: 70000}]\n", "f.yaml:6:21: spec.ports[0].nodePort: invalid value: 70000: must be between 1 and 65535, inclusive"},
		{"external IP", head + port + "  externalIPs: [192.0.2.1, 192.0.2.256, 010.0.0.1]\n", `f.yaml:6:28: spec.externalIPs[1]: invalid value: "192.0.2.256": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`},
		{"external name", head + "  type: ExternalName\n", "f.yaml:4:1: spec.externalName: required value: the DNS name that the Service stands for"},
		{"source range", head + port + "  type: LoadBalancer\n  loadBalancerSourceRanges: [' 10.0.0.0/8', x]\n", `f.yaml:7:45: spec.loadBalancerSourceRanges[1]: invalid value: "x": ` + cidr},
		{"source range of a cluster IP", head + port + "  loadBalancerSourceRanges: [10.0.0.0/8]\n", "f.yaml:6:3: spec.loadBalancerSourceRanges: forbidden: may only be used when `type` is LoadBalancer"},
		{"source range annotation", strings.Replace(head, "name: a", "name: a, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: '10.0.0.0/8, x'}", 1) + port + "  type: LoadBalancer\n",
			`f.yaml:3:35: metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: invalid value: "x": ` + cidr},
	})
}
