// Package isolation_test shows that pods keep the isolation that NetworkPolicies give them, whichever replicas are asked
// and when.
package isolation_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func TestIsolation(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second) // of conditions that hold within milliseconds on an idle machine
	RunSpecs(t, "Isolation stays")
}

var (
	cluster  *plane.Plane
	replicas []*installed.Manager
	api      client.Client
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{ControllerManager: true})
	Expect(err).NotTo(HaveOccurred())
	o := installed.Options{Manifests: "../../config/local", Profile: "restricted", Log: GinkgoLogr, Change: func(all []v1alpha1.GatePolicy) {
		for i := range all {
			if all[i].Name == "namespace-default-deny" { // its policies would isolate everything
				all[i].Spec.Action = v1alpha1.ActionWarn
			}
		}
	}}
	replicas, err = installed.StartPair(ctx, cluster, o)
	Expect(err).NotTo(HaveOccurred())
	api, err = installed.QuietClient(cluster)
	Expect(err).NotTo(HaveOccurred())
	divertByObject(ctx)
})

var _ = AfterSuite(func() {
	for _, each := range replicas {
		Expect(each.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

// divertByObject sends labelled objects to the second replica, in place of what is in labelled namespaces: two policies
// of one namespace are to be judged by two replicas.
func divertByObject(ctx context.Context) {
	GinkgoHelper()
	for name, operator := range map[string]metav1.LabelSelectorOperator{"sluice": metav1.LabelSelectorOpDoesNotExist, "sluice-second": metav1.LabelSelectorOpExists} {
		var hooks admissionv1.ValidatingWebhookConfiguration
		Expect(api.Get(ctx, client.ObjectKey{Name: name}, &hooks)).To(Succeed())
		for i := range hooks.Webhooks {
			if s := hooks.Webhooks[i].NamespaceSelector; s != nil {
				s.MatchExpressions = s.MatchExpressions[:max(0, len(s.MatchExpressions)-1)]
			}
			hooks.Webhooks[i].ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: installed.ReplicaLabel, Operator: operator}}}
		}
		Expect(api.Update(ctx, &hooks)).To(Succeed())
	}
	for _, label := range []bool{false, true} {
		namespace(ctx, fmt.Sprintf("probe-%v", label))
		create(ctx, policy(fmt.Sprintf("probe-%v", label), "a", "a", label))
		Eventually(func() error { return remove(ctx, fmt.Sprintf("probe-%v", label), "a", client.DryRunAll) }).
			Should(MatchError(ContainSubstring(map[bool]string{false: `"validate.sluice.dev"`, true: `"second.validate.sluice.dev"`}[label])))
	}
}

func namespace(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// policy isolates the pods of an app, or all for "". The second replica judges it if second is set.
func policy(namespace, name, app string, second bool) *networkingv1.NetworkPolicy {
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if app != "" {
		np.Spec.PodSelector.MatchLabels = map[string]string{"app": app}
	}
	if second {
		np.Labels = map[string]string{installed.ReplicaLabel: ""}
	}
	np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	return np
}

func create(ctx context.Context, policies ...*networkingv1.NetworkPolicy) {
	GinkgoHelper()
	for _, np := range policies {
		Expect(api.Create(ctx, np)).To(Succeed())
	}
}

func remove(ctx context.Context, namespace, name string, options ...client.DeleteOption) error {
	return api.Delete(ctx, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}, options...)
}

// patiently tries again as clients do where the API server, or Sluice, is too busy to answer.
func patiently(ctx context.Context, do func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = do(ctx)
		return last == nil || apierrors.IsForbidden(last) || apierrors.IsNotFound(last), nil
	})
	if last != nil {
		return last
	}
	return err
}

func names(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var list networkingv1.NetworkPolicyList
	Expect(api.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	out := []string{}
	for _, np := range list.Items {
		out = append(out, np.Name)
	}
	return out
}

// reserved is how often reservations were written. It waits until those of stored changes are over.
func reserved(ctx context.Context) int {
	GinkgoHelper()
	writes, err := installed.QuietReservations(ctx, api, time.Minute)
	Expect(err).NotTo(HaveOccurred())
	return writes
}

const refusal = "networkpolicy-isolation-lost: "

var _ = Describe("two changes at the same moment on two replicas", func() {
	It("don't both take the isolation that each leaves to the other", func(ctx SpecContext) {
		const pairs, crowded = 90, 40
		home := func(i int) string {
			if i < crowded {
				return "crowd" // all in one namespace
			}
			return fmt.Sprintf("pair-%d", i)
		}
		namespace(ctx, "crowd")
		for i := range pairs {
			if i >= crowded {
				namespace(ctx, home(i))
			}
			app := fmt.Sprintf("app-%d", i)
			create(ctx, policy(home(i), fmt.Sprintf("a-%d", i), app, false), policy(home(i), fmt.Sprintf("b-%d", i), app, true))
		}
		var group sync.WaitGroup
		start := make(chan struct{})
		errs := make([]error, 2*pairs)
		for i := range 2 * pairs {
			name, second := fmt.Sprintf("%c-%d", 'a'+i%2, i/2), i%2 == 1
			group.Go(func() {
				<-start
				errs[i] = patiently(ctx, func(ctx context.Context) error {
					if i/2%3 > 0 {
						return remove(ctx, home(i/2), name)
					}
					return api.Patch(ctx, policy(home(i/2), name, "nothing", second), client.Merge) // selects other pods
				})
			})
		}
		began := time.Now()
		close(start)
		group.Wait()
		AddReportEntry("time of all", time.Since(began))
		changed := 0
		for i := range pairs {
			isolated := 0
			var list networkingv1.NetworkPolicyList
			Expect(api.List(ctx, &list, client.InNamespace(home(i)))).To(Succeed())
			for _, np := range list.Items {
				if np.Spec.PodSelector.MatchLabels["app"] == fmt.Sprintf("app-%d", i) {
					isolated++
				}
			}
			Expect(isolated).To(BeNumerically(">", 0), "pair %d has lost its isolation", i)
			changed += 2 - isolated
			for _, err := range []error{errs[2*i], errs[2*i+1]} {
				if err != nil {
					Expect(err.Error()).To(ContainSubstring(refusal), "pair %d", i)
				}
			}
		}
		AddReportEntry("pairs with a winner", changed)
		Expect(changed).To(Equal(pairs), "one of each pair")
	}, SpecTimeout(4*time.Minute))

	It("are told of each other", func(ctx SpecContext) {
		namespace(ctx, "held")
		held := policy("held", "a", "web", false)
		held.Finalizers = []string{"example.com/wait"}
		create(ctx, held, policy("held", "b", "web", true))
		Expect(remove(ctx, "held", "a")).To(Succeed())
		Expect(names(ctx, "held")).To(ConsistOf("a", "b"), "the finalizer keeps it")
		Expect(remove(ctx, "held", "b")).To(MatchError(ContainSubstring("pods app=web lose their isolation for Ingress")), "a isolates still, and not for long")
		Expect(api.Get(ctx, client.ObjectKeyFromObject(held), held)).To(Succeed())
		held.Finalizers = nil
		Expect(api.Update(ctx, held)).To(Succeed(), "the finalizer comes off, because b stays")
		Expect(names(ctx, "held")).To(ConsistOf("b"))
	})
})

var _ = Describe("changes beside policies for all pods", func() {
	const n = 100
	fill := func(ctx context.Context, home string) {
		GinkgoHelper()
		namespace(ctx, home)
		create(ctx, policy(home, "all-0", "", false), policy(home, "all-1", "", true))
		for i := range n {
			create(ctx, policy(home, fmt.Sprintf("p-%d", i), fmt.Sprintf("app-%d", i), i%2 == 1))
		}
	}
	// removed deletes all others on both replicas, and calls do beside that.
	removed := func(ctx context.Context, home string, do func(done int)) {
		var group sync.WaitGroup
		var done atomic.Int64
		for replica := range 2 {
			group.Go(func() {
				defer GinkgoRecover()
				for i := replica; i < n; i += 2 {
					Eventually(func() error { return remove(ctx, home, fmt.Sprintf("p-%d", i)) }).Should(Or(Succeed(), Satisfy(apierrors.IsNotFound)))
					do(int(done.Add(1)))
				}
			})
		}
		group.Wait()
	}

	It("are mostly not written", func(ctx SpecContext) {
		fill(ctx, "beside")
		before := reserved(ctx)
		removed(ctx, "beside", func(int) {})
		writes := reserved(ctx) - before
		AddReportEntry("writes of reservations", fmt.Sprintf("%d for %d deletions", writes, n))
		Expect(writes).To(BeNumerically("<", n/2))
		Expect(names(ctx, "beside")).To(ConsistOf("all-0", "all-1"))
	}, SpecTimeout(2*time.Minute))

	It("leave one of these, if all are deleted at the same moment on two replicas", func(ctx SpecContext) {
		for round := range 5 {
			home := fmt.Sprintf("shrinking-%d", round)
			fill(ctx, home)
			errs := make([]error, 2)
			var group sync.WaitGroup
			removed(ctx, home, func(done int) {
				if done != n/2 { // when both replicas admit without writing
					return
				}
				for i := range errs {
					group.Go(func() {
						errs[i] = patiently(ctx, func(ctx context.Context) error { return remove(ctx, home, fmt.Sprintf("all-%d", i)) })
					})
				}
			})
			group.Wait()
			Expect(names(ctx, home)).To(HaveLen(1))
			Expect(errors.Join(errs...)).To(MatchError(And(ContainSubstring(refusal), ContainSubstring("lose their isolation for Ingress"))), "one of them")
		}
	}, SpecTimeout(4*time.Minute))
})

var _ = Describe("all policies of a namespace", func() {
	for what, all := range map[string]func(context.Context, string) error{
		"kubectl delete --all": func(ctx context.Context, home string) error {
			_, _, err := cluster.Kubectl(ctx, "-n", home, "delete", "networkpolicy", "--all")
			return err
		},
		"a deletion of the collection": func(ctx context.Context, home string) error {
			return api.DeleteAllOf(ctx, &networkingv1.NetworkPolicy{}, client.InNamespace(home))
		},
	} {
		It("are not deleted by "+what, func(ctx SpecContext) {
			home := "all-" + map[bool]string{true: "kubectl", false: "collection"}[strings.HasPrefix(what, "kubectl")]
			namespace(ctx, home)
			for i := range 5 {
				create(ctx, policy(home, fmt.Sprintf("p-%d", i), "", i%2 == 1))
			}
			Expect(all(ctx, home)).To(MatchError(ContainSubstring(refusal + "all pods lose their isolation for Ingress")))
			Expect(names(ctx, home)).To(HaveLen(1))
		})
	}

	It("go with the namespace", func(ctx SpecContext) {
		namespace(ctx, "gone")
		for i := range 5 {
			create(ctx, policy("gone", fmt.Sprintf("p-%d", i), "", i%2 == 1))
		}
		_, _, err := cluster.Kubectl(ctx, "delete", "namespace", "gone", "--timeout=60s")
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(2*time.Minute))
})

var _ = Describe("a policy", func() {
	It("is replaced by another one within a moment", func(ctx SpecContext) {
		namespace(ctx, "moving")
		create(ctx, policy("moving", "p-0", "", false))
		for i := range 40 {
			create(ctx, policy("moving", fmt.Sprintf("p-%d", i+1), "", i%2 == 1))
			Expect(remove(ctx, "moving", fmt.Sprintf("p-%d", i))).To(Succeed())
		}
	})

	It("reserves nothing but for an admitted change of what it isolates", func(ctx SpecContext) {
		namespace(ctx, "quiet")
		web := policy("quiet", "web", "web", false)
		create(ctx, web, policy("quiet", "all", "", false))
		before := reserved(ctx)
		Expect(remove(ctx, "quiet", "web", client.DryRunAll)).To(Succeed())
		Expect(remove(ctx, "quiet", "all", client.DryRunAll)).To(MatchError(ContainSubstring(refusal)))
		Expect(remove(ctx, "quiet", "all")).To(MatchError(ContainSubstring(refusal)))
		web.Labels = map[string]string{"team": "quiet"}
		web.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}}}
		Expect(api.Update(ctx, web)).To(Succeed())
		Expect(reserved(ctx)).To(Equal(before))
		Expect(remove(ctx, "quiet", "web")).To(Succeed())
		Expect(reserved(ctx)).To(BeNumerically(">", before))
	})

	It("is deleted a few milliseconds later than without the rule", func(ctx SpecContext) {
		const n = 100
		namespace(ctx, "bench")
		create(ctx, policy("bench", "all", "", false))
		time1 := func(what string, edit func(*networkingv1.NetworkPolicy)) {
			GinkgoHelper()
			for i := range n {
				np := policy("bench", fmt.Sprintf("p-%d", i), "web", false)
				edit(np)
				create(ctx, np)
			}
			start := time.Now()
			for i := range n {
				Expect(remove(ctx, "bench", fmt.Sprintf("p-%d", i))).To(Succeed())
			}
			AddReportEntry(what, time.Since(start)/n)
		}
		time1("deletion of a policy that isolates nothing", func(np *networkingv1.NetworkPolicy) {
			np.Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpDoesNotExist}}
		})
		time1("deletion of a policy whose pods another one isolates", func(*networkingv1.NetworkPolicy) {})
	})
})

const guard = `{"apiVersion": "policy.sluice.dev/v1alpha1", "kind": "GatePolicy", "metadata": {"name": "guarded-isolation"},
	"spec": {"rule": "networkpolicy-isolation-lost", "match": {"namespaceSelector": {"matchLabels": {"guarded": "yes"}}}}}`

var _ = Describe("the labels of a namespace", func() {
	intercepted := func(ctx context.Context) bool {
		GinkgoHelper()
		var hooks admissionv1.ValidatingWebhookConfiguration
		Expect(api.Get(ctx, client.ObjectKey{Name: "sluice"}, &hooks)).To(Succeed())
		for _, hook := range hooks.Webhooks {
			for _, rule := range hook.Rules {
				if rule.Resources[0] == "namespaces" {
					Expect(hook.Name).To(Equal("validate-core.sluice.dev"))
					Expect(rule.Operations).To(ConsistOf(admissionv1.Update))
					return true
				}
			}
		}
		return false
	}

	It("keep it within a policy's namespaceSelector while its pods are isolated", func(ctx SpecContext) {
		Expect(intercepted(ctx)).To(BeFalse(), "no policy has a namespaceSelector")
		_, _, err := cluster.KubectlInput(ctx, strings.NewReader(guard), "apply", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		Eventually(intercepted).WithContext(ctx).Should(BeTrue())
		home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "guarded", Labels: map[string]string{"guarded": "yes"}}}
		Expect(api.Create(ctx, home)).To(Succeed())
		create(ctx, policy("guarded", "web", "web", false))
		relabel := func(value string, options ...client.PatchOption) error {
			return api.Patch(ctx, home.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"labels": {"guarded": `+value+`}}}`)), options...)
		}
		refused := MatchError(ContainSubstring("guarded-isolation: the labels take namespace guarded out of this policy, while NetworkPolicy web isolates pods app=web for Ingress"))
		Eventually(func() error { return relabel("null", client.DryRunAll) }).Should(refused, "once the API server knows the new rules")
		Expect(relabel("null")).To(refused)
		Expect(relabel(`"yes", "team": "web"`)).To(Succeed())
		empty := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "unisolated", Labels: map[string]string{"guarded": "yes"}}}
		Expect(api.Create(ctx, empty)).To(Succeed())
		empty.Labels = nil
		Expect(api.Update(ctx, empty)).To(Succeed(), "nothing is isolated")
	})
})
