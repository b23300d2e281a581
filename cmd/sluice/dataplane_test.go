package main

import (
	"strings"
	"testing"
)

func TestDataplaneFlag(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "web.yaml", `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {}}]
    ports: [{protocol: TCP, port: http}]
`)
	write(t, "cluster.yaml", `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ovnkube-node, namespace: ovn-kubernetes}
spec:
  selector: {matchLabels: {app: ovnkube-node}}
  template:
    metadata: {labels: {app: ovnkube-node}}
    spec: {containers: [{name: ovnkube, image: example.com/ovnkube}]}
`)
	write(t, "none.yaml", "apiVersion: policy.sluice.dev/v1alpha1\nkind: GatePolicy\nmetadata: {name: ips}\nspec: {rule: service-external-ips}\n")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"check web.yaml", 0, "1 object: 0 denied, 0 warned"},
		{"check --dataplane calico web.yaml", 0, "1 object: 0 denied, 0 warned"},
		{"check --dataplane ovn-kubernetes web.yaml", 1, "web.yaml:9:29: deny networkpolicy-dataplane: OVN-Kubernetes opens every TCP port for the named port http [ovn-named-port]"},
		{"check --dataplane auto --state cluster.yaml web.yaml", 1, "OVN-Kubernetes opens every TCP port for the named port http"},
		{"check --dataplane auto web.yaml", 0, "warn networkpolicy-dataplane: no known dataplane is found in the cluster"},
		{"check --dataplane auto --explain networkpolicy-dataplane --state cluster.yaml web.yaml", 1, "OVN-Kubernetes opens every TCP port for the named port http"},
		{"check --dataplane celium web.yaml", 2, `Error: --dataplane: there is no dataplane "celium"; want one of auto, aci, antrea,`},
		{"check --dataplane cilium --profile none --policies none.yaml web.yaml", 2, "--dataplane: no policy wants to know: none is of the rule networkpolicy-dataplane"},
		{"serve --dataplane celium", 2, `Error: --dataplane: there is no dataplane "celium"; want one of auto, aci, antrea,`},
	} {
		stdout, stderr, code := sluice(t, "", strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%s: exit %d, want %d and %q in\n%s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
}
