package manifest

import "testing"

func TestDecodeStrict(t *testing.T) {
	const ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  defaultBackend: {service: {name: s, port: {number: 80}}}
`
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n"
	cases := []decodeCase{
		{"near miss", ingress + "  tlss: []\n", `f.yaml:6:3: unknown field "spec.tlss"; did you mean "tls"?`},
		{"case", ingress + "  ingressclassname: x\n", `f.yaml:6:3: unknown field "spec.ingressclassname"; did you mean "ingressClassName"?`},
		{"prefix", ingress + "  ingressClass: x\n", `f.yaml:6:3: unknown field "spec.ingressClass"; did you mean "ingressClassName"?`},
		{"nothing near", ingress + "  tls:\n  - certificate: x\n", `f.yaml:7:5: unknown field "spec.tls[0].certificate"; fields here are hosts, secretName`},
		{"many fields", service + "  rainbow: x\n  ports: [{port: 1}]\n", `f.yaml:5:3: unknown field "spec.rainbow"`},
		{"several", ingress + "  tls: {}\n  rules:\n  - hots: x\n", "f.yaml:6:3: spec.tls: expected a list, got a mapping\n" +
			`f.yaml:8:5: unknown field "spec.rules[0].hots"; did you mean "host"?`},
		{"string for integer", service + "  ports:\n  - port: \"80\"\n", `f.yaml:6:5: spec.ports[0].port: expected an integer, got the string "80"; remove the quotes`},
		{"fraction", service + "  ports:\n  - port: 8.5\n", `f.yaml:6:5: spec.ports[0].port: expected an integer, got the number 8.5`},
		{"too large", service + "  ports:\n  - port: 3000000000\n", `f.yaml:6:5: spec.ports[0].port: expected an integer of at most 32 bits, got the number 3000000000`},
		{"number for string", service + "  type: 7\n", `f.yaml:5:3: spec.type: expected a string, got the number 7; quote it`},
		{"number as label", service + "  selector: {a: 1}\n", `f.yaml:5:14: spec.selector[a]: expected a string, got the number 1; quote it`},
		{"word for boolean", service + "  publishNotReadyAddresses: \"true\"\n", `f.yaml:5:3: spec.publishNotReadyAddresses: expected true or false, got the string "true"; remove the quotes`},
		{"list for port", service + "  ports: [{port: 1, targetPort: []}]\n", `f.yaml:5:21: spec.ports[0].targetPort: expected an integer or a name, got a list`},
		{"boolean for port", service + "  ports: [{port: 1, targetPort: true}]\n", `f.yaml:5:21: spec.ports[0].targetPort: expected an integer or a name, got the boolean true`},
		{"string for mapping", service + "  selector: a\n", `f.yaml:5:3: spec.selector: expected a mapping, got the string "a"`},
		{"no timestamp", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, deletionTimestamp: soon}\n", `f.yaml:3:21: metadata.deletionTimestamp: not a valid Time: the string "soon"`},
		{"no quantity", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, resources: {limits: {cpu: x}}}]}\n",
			`f.yaml:4:52: spec.containers[0].resources.limits[cpu]: not a valid Quantity: the string "x"`},
		{"boolean key", service + "  ports: [{port: 1}]\n  selector:\n    on: a\n", `f.yaml:7:5: key on is read as something other than a string; quote it`},
		{"number key", service + "  ports: [{port: 1}]\n  selector: {8080: a, \"8081\": b}\n", `f.yaml:6:14: key 8080 is read as something other than a string; quote it`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, problems := decodeText(t, c.text, Options{})
			wantStrings(t, problemStrings(problems), c.want)
		})
	}
}
