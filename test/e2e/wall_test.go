package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// matchable are the kinds that this API server serves and a policy can be about.
func matchable(ctx context.Context) (can, cannot []string) {
	GinkgoHelper()
	served, err := discovery.NewDiscoveryClientForConfigOrDie(cluster.Config).ServerPreferredResources()
	Expect(err).NotTo(HaveOccurred())
	for _, list := range served {
		group, _, grouped := strings.Cut(list.GroupVersion, "/")
		for _, resource := range list.APIResources {
			kind := resource.Kind
			if grouped {
				kind = group + "/" + kind
			}
			if slices.Contains(can, kind) || slices.Contains(cannot, kind) {
				continue
			}
			wall := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(rego("wall", kind, "", "true")), &wall.Object)).To(Succeed())
			if err := api.Create(ctx, wall, client.DryRunAll); err != nil {
				Expect(err).To(MatchError(ContainSubstring(kind + " can't be matched")))
				cannot = append(cannot, kind)
			} else {
				can = append(can, kind)
			}
		}
	}
	slices.Sort(cannot)
	return can, cannot
}

func denyEverything(ctx context.Context) {
	can, cannot := matchable(ctx)
	AddReportEntry("kinds that can be matched", fmt.Sprint(len(can)))
	AddReportEntry("kinds that can't", strings.Join(cannot, " "))
	_, err := apply(ctx, fmt.Sprintf(plainDep, loaded))
	Expect(err).NotTo(HaveOccurred())
	turnOn(ctx, "wall", rego("wall", strings.Join(can, ", "), "", "true"))
	settings := fmt.Sprintf(configMap, loaded)
	const refused = "wall: refused by the test"
	Eventually(func() error {
		_, err := apply(ctx, settings, "--dry-run=server")
		return err
	}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring(refused)))
	Eventually(func() error {
		_, _, err := cluster.Kubectl(ctx, "create", "namespace", "walled")
		return err
	}, patience, poll).WithContext(ctx).Should(MatchError(ContainSubstring(refused)))
	_, complaint, err := cluster.Kubectl(ctx, "delete", "deployment", "-n", loaded, "--all")
	Expect(err).To(HaveOccurred(), "deletions are refused, too")
	Expect(complaint).To(ContainSubstring(refused))
	_, err = apply(ctx, fmt.Sprintf(configMap, "kube-system"))
	Expect(err).NotTo(HaveOccurred(), "exempt")

	started := time.Now()
	kubectl(ctx, "delete", "gatepolicy", "wall")
	Eventually(func() error {
		_, err := apply(ctx, settings)
		return err
	}, patience, poll).WithContext(ctx).Should(Succeed())
	AddReportEntry("everything goes again after kubectl delete gatepolicy", since(started))
	kubectl(ctx, "delete", "deployment", "-n", loaded, "--all")
}
