package e2e_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
)

// uninstall is what config/README.md says, while a kubelet ends the pods of what is deleted.
func uninstall(ctx context.Context) {
	generated := []string{"networkpolicies", "-n", "kept", "-l", v1alpha1.GeneratedByLabel}
	kubectl(ctx, "create", "namespace", "kept")
	Eventually(func() string {
		return kubectl(ctx, append([]string{"get", "-o", "name"}, generated...)...)
	}, patience, poll).WithContext(ctx).ShouldNot(BeEmpty(), "restricted generates a default deny")

	started := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- endWithDeployment(ctx) }()
	kubectl(ctx, "delete", "-k", "../../config/default", "--timeout=120s")
	AddReportEntry("kubectl delete -k config/default", since(started))
	Expect(<-ended).To(Succeed())

	Expect(kubectl(ctx, "get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "-o", "name")).To(BeEmpty())
	Expect(kubectl(ctx, "get", "crd,clusterroles,clusterrolebindings,priorityclasses", "-o", "name")).NotTo(ContainSubstring("sluice"))
	Expect(kubectl(ctx, "get", "namespace", installed.Namespace, "--ignore-not-found")).To(BeEmpty())
	_, err := apply(ctx, manifest(ingress("free", 0, false)))
	Expect(err).NotTo(HaveOccurred(), "nobody judges")

	Expect(kubectl(ctx, append([]string{"get", "-o", "name"}, generated...)...)).NotTo(BeEmpty(), "what was generated stays, and is nobody's")
	Expect(kubectl(ctx, append([]string{"get", "-o", "jsonpath={.items[*].metadata.finalizers}"}, generated...)...)).To(BeEmpty())
	kubectl(ctx, append([]string{"delete"}, generated...)...)
	kubectl(ctx, "delete", "namespace", "kept", loaded, "--timeout=60s")
}

// endWithDeployment removes the replicas when their Deployment is gone.
func endWithDeployment(ctx context.Context) error {
	for {
		err := api.Get(ctx, client.ObjectKey{Namespace: installed.Namespace, Name: "sluice"}, &appsv1.Deployment{})
		if apierrors.IsNotFound(err) {
			break
		}
		if err != nil {
			return err
		}
		let(ctx, poll)
	}
	pods := replicas.running()
	errs := make(chan error, len(pods))
	for _, p := range pods {
		go func() { errs <- replicas.remove(p) }()
	}
	var all []error
	for range pods {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
