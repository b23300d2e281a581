package facts

import "testing"

func TestAllowanceTextIsWhatAPersonWouldWrite(t *testing.T) {
	// What the neighbour opens for some of the pods cuts the ports of web into parts.
	const neighbour = "tier: {podSelector: {matchLabels: {tier: x}}, policyTypes: [Egress], egress: [{ports: [{port: 80}, {port: 443}, {port: 8080}]}]}"
	for _, c := range []struct{ name, rule, want string }{
		{"every port", "{}", "{direction: Egress}"},
		{"every port of a protocol", "{ports: [{protocol: TCP}]}", "{direction: Egress, ports: [TCP/1-65535]}"},
		{"a range around a port", "{ports: [{port: 79, endPort: 81}]}", "{direction: Egress, ports: [TCP/79-81]}"},
		{"ports that do not touch", "{ports: [{port: 79}, {port: 81}]}", "{direction: Egress, ports: [TCP/79, TCP/81]}"},
		{"as many ports as anybody reads", "{ports: [{port: 1}, {port: 3}, {port: 5}, {port: 7}, {port: 9}]}",
			"{direction: Egress, ports: [TCP/1, TCP/3, TCP/5, TCP/7, TCP/9]}"},
		{"one more", "{ports: [{port: 1}, {port: 3}, {port: 5}, {port: 7}, {port: 9}, {port: 11}]}", ""},
		{"a namespace whose name is a number", `{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "2024"}}}]}`,
			`{direction: Egress, peers: {namespaces: ["2024"]}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Opened(inShop(t, isolated, neighbour), inShop(t, isolated, neighbour, out("web", c.rule)), OpenOptions{})
			if err != nil || len(got.List) != 1 || got.List[0].Allowance != c.want {
				t.Errorf("got %+v, %v; want %s", got.List, err, c.want)
			}
		})
	}
}
