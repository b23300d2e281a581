# METADATA
# title: A namespace starts closed
# description: Its first NetworkPolicy selects every pod and allows nothing.
# custom:
#   severity: medium
#   kinds: [Namespace]
#   generates: [networking.k8s.io/NetworkPolicy]
package sluice.team.quarantine

generate contains {
	"apiVersion": "networking.k8s.io/v1",
	"kind": "NetworkPolicy",
	"metadata": {"name": "quarantine"},
	"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
