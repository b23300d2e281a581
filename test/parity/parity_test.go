// Package parity_test shows that a case has one verdict: by the command line and by kubectl's way through a
// real API server.
package parity_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/corpus"
	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

// corpusVariable names folders with case files beside the project's own, as $PATH names folders.
const corpusVariable = "SLUICE_CORPUS"

// sceneSetters may store what no policy would let pass: the state of a case.
const sceneSetters = "scene-setters"

func TestParity(t *testing.T) {
	if os.Getenv(plane.AssetsVariable) == "" {
		t.Skip(plane.ErrNoAssets)
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second) // of conditions that hold within milliseconds on an idle machine
	RunSpecs(t, "One verdict")
}

var (
	cluster *plane.Plane
	manager *installed.Manager
	setter  client.Client
	author  client.Client
	warden  client.Client // of policies
	spoken  = &warnings{}
	byCLI   = map[string]corpus.Result{}
	shipped *profile.Set
)

var _ = BeforeSuite(func(ctx context.Context) {
	var err error
	cluster, err = plane.Start(ctx, plane.Options{APIServerFlags: map[string][]string{
		"feature-gates":            {"StrictIPCIDRValidation=false"}, // cases hold what older API servers accept
		"service-cluster-ip-range": {"10.96.0.0/16,fd00:10:96::/112"},
	}})
	Expect(err).NotTo(HaveOccurred())
	manager, err = installed.Start(ctx, cluster, installed.Options{Manifests: "../../config/local", Profile: "restricted", Log: GinkgoLogr,
		Change: func(all []v1alpha1.GatePolicy) {
			for i := range all {
				excuseSceneSetters(&all[i])
				if all[i].Name == "namespace-default-deny" { // cases run with generate off
					all[i].Spec.Match.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"generate": "on"}}
				}
			}
		}})
	Expect(err).NotTo(HaveOccurred())
	setter = clientOf("scene-setter", nil, "system:masters", sceneSetters)
	author = clientOf("author", spoken, "system:masters")
	warden = clientOf("warden", nil, "system:masters")
	shipped, err = profile.Load(profile.Options{Name: "restricted"})
	Expect(err).NotTo(HaveOccurred())
	results, problems, err := corpus.Run(ctx, corpus.Options{Paths: folders(), Policies: shipped})
	Expect(err).NotTo(HaveOccurred())
	Expect(problems).To(BeEmpty())
	for _, r := range results {
		byCLI[r.Case.ID] = r
	}
})

var _ = AfterSuite(func() {
	if manager != nil {
		Expect(manager.Stop()).To(Succeed())
	}
	if cluster != nil {
		Expect(cluster.Stop()).To(Succeed())
	}
})

func excuseSceneSetters(p *v1alpha1.GatePolicy) {
	p.Spec.Match.ExcludedSubjects = append(p.Spec.Match.ExcludedSubjects, v1alpha1.Subject{Kind: "Group", Name: sceneSetters})
}

func clientOf(name string, w *warnings, groups ...string) client.Client {
	GinkgoHelper()
	config, err := cluster.AddUser(name, groups...)
	Expect(err).NotTo(HaveOccurred())
	config.WarningHandler = rest.NoWarnings{}
	if w != nil {
		config.WarningHandler = w
	}
	scheme := runtime.NewScheme()
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// folders are the project's own cases and those that the environment names.
func folders() []string {
	return append([]string{filepath.Join("..", "corpus")}, filepath.SplitList(os.Getenv(corpusVariable))...)
}

func cases() []corpus.Case {
	var out []corpus.Case
	for _, folder := range folders() {
		err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found, problems := corpus.ReadCases(path, data)
			for _, p := range problems {
				err = errors.Join(err, p)
			}
			out = append(out, found...)
			return err
		})
		if err != nil {
			panic("read cases: " + err.Error()) // the tree of specs can't be built
		}
	}
	return out
}

// warnings collects what the API server says beside the answer.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.texts
	w.texts = nil
	return taken
}

// verdict is a set of policies by what their findings did, as "deny networkpolicy-…".
func verdict(effects map[string]bool) []string {
	out := []string{}
	for effect := range effects {
		out = append(out, effect)
	}
	slices.Sort(out)
	return out
}

var _ = Describe("the command line and the API server agree on", func() {
	for _, c := range cases() {
		It(c.ID+" "+c.Title, func(ctx SpecContext) {
			result := byCLI[c.ID]
			if result.Status == corpus.Skipped {
				Skip(result.Reason)
			}
			Expect(result.Status).To(Equal(corpus.Passed), "the command line: %s %+v", result.Reason, result.Findings)
			want := map[string]bool{}
			for _, f := range result.Findings {
				if f.Effect == policies.EffectAudit {
					continue // the API server writes it into its audit log only
				}
				want[string(f.Effect)+" "+f.Policy] = true
			}
			if result.Got == corpus.Deny { // a denied request has no warnings worth comparing: kubectl shows both
				Expect(want).NotTo(BeEmpty())
			}
			Expect(verdict(throughAPIServer(ctx, c))).To(Equal(verdict(want)))
		})
	}
})

// throughAPIServer plays a case and returns what Sluice said.
func throughAPIServer(ctx context.Context, c corpus.Case) map[string]bool {
	GinkgoHelper()
	stage := &stage{}
	DeferCleanup(stage.clear)
	known := usePolicies(ctx, c.Policies)
	if ns := c.Request.Namespace; ns != "" {
		stage.namespace(ctx, ns)
	}
	for _, document := range c.State {
		stage.add(ctx, document)
	}
	stage.endNamespaces(ctx)
	object := decode(c.Request.Subject())
	spoken.take()
	var err error
	switch c.Request.Operation {
	case engine.Create:
		if err = author.Create(ctx, object); err == nil {
			stage.created = append(stage.created, object)
			Eventually(func() bool { return stage.seen(object) }).Should(BeTrue(), "Sluice sees what it admitted")
		}
	case engine.Update:
		stored := object.DeepCopy()
		Expect(setter.Get(ctx, client.ObjectKeyFromObject(object), stored)).To(Succeed())
		object.SetResourceVersion(stored.GetResourceVersion())
		object.SetDeletionTimestamp(stored.GetDeletionTimestamp()) // the API server's own clock
		err = author.Update(ctx, object)
	case engine.Delete:
		err = author.Delete(ctx, object)
	}
	said := map[string]bool{}
	for _, text := range spoken.take() {
		if policy, _, ok := strings.Cut(text, ": "); ok && slices.Contains(known, policy) {
			said["warn "+policy] = true
		}
	}
	if err != nil {
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		var status apierrors.APIStatus
		Expect(errors.As(err, &status)).To(BeTrue())
		for _, cause := range status.Status().Details.Causes {
			said["deny "+string(cause.Type)] = true
		}
	}
	return said
}

// usePolicies puts the policies of a case into force until it ends, and returns the names of all.
func usePolicies(ctx context.Context, of []v1alpha1.GatePolicy) []string {
	GinkgoHelper()
	if len(of) > 0 {
		apply(ctx, of)
		DeferCleanup(restorePolicies, of)
	}
	var names []string
	for _, p := range shipped.With(of).Policies {
		names = append(names, p.Name)
	}
	return names
}

func restorePolicies(ctx context.Context, of []v1alpha1.GatePolicy) {
	GinkgoHelper()
	for _, p := range of {
		i := slices.IndexFunc(shipped.Policies, func(s v1alpha1.GatePolicy) bool { return s.Name == p.Name })
		if i >= 0 {
			apply(ctx, shipped.Policies[i:i+1])
			continue
		}
		Expect(warden.Delete(ctx, &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: p.Name}})).To(Succeed())
		Eventually(func() bool { return active(p.Name) }).Should(BeFalse(), "%s is gone", p.Name)
	}
}

// apply creates or replaces policies, and waits until they are in force.
func apply(ctx context.Context, policies []v1alpha1.GatePolicy) {
	GinkgoHelper()
	for _, p := range policies {
		excuseSceneSetters(&p)
		stored := &v1alpha1.GatePolicy{ObjectMeta: metav1.ObjectMeta{Name: p.Name}}
		_, err := controllerutil.CreateOrUpdate(ctx, warden, stored, func() error { stored.Spec = p.Spec; return nil })
		Expect(err).NotTo(HaveOccurred())
		Eventually(func(g Gomega) {
			g.Expect(warden.Get(ctx, client.ObjectKeyFromObject(stored), stored)).To(Succeed())
			ready := meta.FindStatusCondition(stored.Status.Conditions, "Ready")
			g.Expect(ready).NotTo(BeNil())
			g.Expect(ready.Status).To(Equal(metav1.ConditionTrue), ready.Message)
			g.Expect(ready.ObservedGeneration).To(Equal(stored.Generation))
		}).Should(Succeed(), "%s is in force", p.Name)
	}
}

// active tells whether Sluice judges by a policy.
func active(policy string) bool {
	GinkgoHelper()
	families, err := manager.Metrics.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() != "sluice_policy_active_generation" {
			continue
		}
		for _, m := range family.GetMetric() {
			if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "policy" && l.GetValue() == policy }) {
				return true
			}
		}
	}
	return false
}

// stage holds what a case put into the cluster.
type stage struct {
	created []*unstructured.Unstructured
	ending  []*unstructured.Unstructured // Namespaces to delete when all is there
}

func (s *stage) namespace(ctx context.Context, name string) {
	GinkgoHelper()
	// Without kube-controller-manager a namespace never goes: cases share those of one name.
	Expect(client.IgnoreAlreadyExists(setter.Create(ctx, namespaceOf(name)))).To(Succeed())
}

func namespaceOf(name string) *unstructured.Unstructured {
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(name)
	return namespace
}

// dress gives a namespace the labels and annotations that the case says, and waits until Sluice has seen them.
func (s *stage) dress(ctx context.Context, wanted *unstructured.Unstructured) {
	GinkgoHelper()
	s.namespace(ctx, wanted.GetName())
	namespace := namespaceOf(wanted.GetName())
	Expect(setter.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
	if wanted.GetDeletionTimestamp() != nil {
		s.ending = append(s.ending, namespace)
		return
	}
	namespace.SetLabels(wanted.GetLabels())
	namespace.SetAnnotations(wanted.GetAnnotations())
	Expect(setter.Update(ctx, namespace)).To(Succeed()) // which changes nothing if that is so already
	Eventually(func() bool { return s.seen(namespace) }).Should(BeTrue(), "Sluice sees the namespace")
}

// endNamespaces deletes those that are being deleted in the case: they stay so. No other case may use them.
func (s *stage) endNamespaces(ctx context.Context) {
	GinkgoHelper()
	for _, namespace := range s.ending {
		Expect(setter.Delete(ctx, namespace)).To(Succeed())
	}
}

// add stores one object of the state and waits until Sluice has seen it.
func (s *stage) add(ctx context.Context, document engine.Document) {
	GinkgoHelper()
	object := decode(document)
	if object.GetKind() == "Namespace" {
		s.dress(ctx, object)
		return
	}
	if ns := object.GetNamespace(); ns != "" {
		s.namespace(ctx, ns)
	}
	leaving := object.GetDeletionTimestamp() != nil
	object.SetDeletionTimestamp(nil)
	Expect(setter.Create(ctx, object)).To(Succeed())
	s.created = append(s.created, object)
	if leaving { // a finalizer keeps it
		Expect(setter.Delete(ctx, object)).To(Succeed())
		Expect(setter.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	}
	Eventually(func() bool { return s.seen(object) }).Should(BeTrue(), "Sluice sees the state")
}

// seen tells whether Sluice knows the object as stored. Kinds that no policy asks about are not watched.
func (s *stage) seen(object *unstructured.Unstructured) bool {
	kind := object.GroupVersionKind().GroupKind()
	known, found, err := manager.State.Get(kind, object.GetNamespace(), object.GetName())
	if err != nil && strings.Contains(err.Error(), "not watched") {
		return true
	}
	return err == nil && found && known.Get("metadata", "resourceVersion").Text() == object.GetResourceVersion()
}

// clear takes the case's objects away and waits until Sluice has seen that.
func (s *stage) clear(ctx context.Context) {
	for _, object := range s.created {
		s.remove(ctx, object)
		Eventually(func() bool {
			kind := object.GroupVersionKind().GroupKind()
			_, found, err := manager.State.Get(kind, object.GetNamespace(), object.GetName())
			return err != nil || !found
		}).Should(BeTrue(), "Sluice sees the deletion")
	}
}

// remove deletes an object, finalizers or not.
func (s *stage) remove(ctx context.Context, object *unstructured.Unstructured) {
	GinkgoHelper()
	noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	Expect(client.IgnoreNotFound(setter.Patch(ctx, object.DeepCopy(), noFinalizers))).To(Succeed())
	Expect(client.IgnoreNotFound(setter.Delete(ctx, object))).To(Succeed())
}

func decode(document engine.Document) *unstructured.Unstructured {
	GinkgoHelper()
	data, err := document.MarshalJSON()
	Expect(err).NotTo(HaveOccurred())
	object := &unstructured.Unstructured{}
	Expect(json.Unmarshal(data, &object.Object)).To(Succeed())
	return object
}
