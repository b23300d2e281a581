package engine

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// keySet finds repeated keys among the pairs from base on. The evaluator's objects can't: their hash is
// known, so that a hostile document could make each insertion as slow as it has keys.
type keySet struct {
	base int
	seen map[string]struct{} // of an object with many keys
}

func (k *keySet) has(pairs [][2]*ast.Term, key string) bool {
	const few = 16
	pairs = pairs[k.base:]
	if len(pairs) < few {
		return slices.ContainsFunc(pairs, func(pair [2]*ast.Term) bool { return string(pair[0].Value.(ast.String)) == key })
	}
	if k.seen == nil {
		k.seen = make(map[string]struct{}, 4*few)
		for _, pair := range pairs {
			k.seen[string(pair[0].Value.(ast.String))] = struct{}{}
		}
	}
	_, found := k.seen[key]
	k.seen[key] = struct{}{}
	return found
}

// keyTerm is the term of an object key; the keys of everyday Kubernetes objects are shared.
func keyTerm(key string) *ast.Term {
	if term, common := commonKeys[key]; common {
		return term
	}
	return ast.StringTerm(key)
}

// commonKeys are never written to after this.
var commonKeys = func() map[string]*ast.Term {
	keys := strings.Fields(`
		allowPrivilegeEscalation annotations apiVersion app app.kubernetes.io/component app.kubernetes.io/instance
		app.kubernetes.io/managed-by app.kubernetes.io/name app.kubernetes.io/part-of app.kubernetes.io/version args
		authentication.kubernetes.io/credential-id automountServiceAccountToken backend backendRefs capabilities cidr
		clusterIP clusterIPs command conditions containerPort containers creationTimestamp data defaultBackend deny dnsPolicy
		dryRun egress endPort env except externalIPs externalName externalTrafficPolicy extra field fieldManager
		fieldValidation finalizers fix from generateName generation group groups helm.sh/chart host hostNetwork hostname
		hostnames hosts http image imagePullPolicy ingress ingressClassName initContainers internalTrafficPolicy ip ipBlock
		ipFamilies ipFamilyPolicy ips key kind kubernetes.io/ingress.class kubernetes.io/metadata.name labels limits listeners
		livenessProbe loadBalancer loadBalancerClass loadBalancerIP loadBalancerSourceRanges managedFields matchExpressions
		matchLabels matches metadata mountPath msg name namespace namespaceSelector nodePort number object oldObject operation
		operator options ownerReferences parameters parentRefs patch path pathType paths podSelector policyTypes port ports
		propagationPolicy protocol readinessProbe replicas request requestKind requestResource resource resources
		resourceVersion restartPolicy rules schedulerName secretName securityContext selector service serviceAccount
		serviceAccountName sessionAffinity spec status strategy subResource targetPort template terminationGracePeriodSeconds
		terminationMessagePath terminationMessagePolicy tls to tolerations type uid user userInfo username value values version
		volumeMounts volumes warn`)
	out := make(map[string]*ast.Term, len(keys))
	for _, key := range keys {
		out[key] = ast.StringTerm(key)
	}
	return out
}()
