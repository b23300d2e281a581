package dryrun_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/dryrun"
)

// cluster is what kubectl get prints of 1,000 namespaces with 10 pods of 8 KB each, as pods are with two containers and
// their status, and a NetworkPolicy in every second one.
func cluster() string {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nitems:\n")
	var filler strings.Builder
	for i := range 130 {
		fmt.Fprintf(&filler, "    - name: VARIABLE_%d\n      valueFrom:\n        value: 'a value: %d'\n", i, i)
	}
	for ns := range 1000 {
		fmt.Fprintf(&text, "- apiVersion: v1\n  kind: Namespace\n  metadata:\n    labels:\n      kubernetes.io/metadata.name: ns-%d\n    name: ns-%d\n", ns, ns)
		for pod := range 10 {
			fmt.Fprintf(&text, "- apiVersion: v1\n  kind: Pod\n  metadata:\n    labels:\n      app: app-%d\n    name: pod-%d\n    namespace: ns-%d\n  spec:\n    env:\n%s", pod%3, pod, ns, filler.String())
		}
		if ns%2 == 0 {
			fmt.Fprintf(&text, "- apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  metadata:\n    name: app\n    namespace: ns-%d\n  spec:\n    podSelector:\n      matchLabels:\n        app: app-0\n    policyTypes:\n    - Ingress\n    - Egress\n", ns)
		}
	}
	text.WriteString("kind: List\nmetadata:\n  resourceVersion: \"\"\n")
	return text.String()
}

func BenchmarkRun(b *testing.B) {
	text, policies := cluster(), set(b, "")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d, err := dryrun.Run(b.Context(), dryrun.Options{Policies: policies, Paths: []string{"-"}, Stdin: strings.NewReader(text)})
		if err != nil || len(d.Errors) > 0 || d.Summary.PodsClosed != 8000 {
			b.Fatal(d.Summary, d.Errors, err)
		}
	}
}
