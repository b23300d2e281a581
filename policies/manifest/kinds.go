package manifest

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// kind is how objects of one kind are decoded, defaulted and validated.
type kind struct {
	apiVersion, name string
	namespaced       bool
	// fresh returns a new, empty object.
	fresh    func() metav1.Object
	defaults func(metav1.Object)
	validate func(metav1.Object) field.ErrorList
}

// newKind describes the kind of the Go type T. The functions get the object that
// fresh made, so the assertion to *T can't fail.
func newKind[T any, P interface {
	*T
	metav1.Object
}](apiVersion, name string, namespaced bool, defaults func(P), validate func(P) field.ErrorList) kind {
	return kind{
		apiVersion: apiVersion, name: name, namespaced: namespaced,
		fresh:    func() metav1.Object { return P(new(T)) },
		defaults: func(o metav1.Object) { defaults(o.(P)) },
		validate: func(o metav1.Object) field.ErrorList { return validate(o.(P)) },
	}
}

// knownKinds are the kinds that Sluice judges and the API server serves today.
func knownKinds() []kind {
	return []kind{
		newKind("networking.k8s.io/v1", "Ingress", true, nothing[*networkingv1.Ingress], validateIngress),
		newKind("networking.k8s.io/v1", "IngressClass", false, defaultIngressClass, validateIngressClass),
		newKind("networking.k8s.io/v1", "NetworkPolicy", true, defaultNetworkPolicy, validateNetworkPolicy),
		newKind("v1", "Service", true, defaultService, validateService),
		newKind("v1", "Namespace", false, defaultNamespace, validateNamespace),
		newKind("v1", "Pod", true, defaultPod,
			func(p *corev1.Pod) field.ErrorList { return validatePodSpec(&p.Spec, field.NewPath("spec")) }),
		newKind("v1", "ReplicationController", true, defaultReplicationController, validateReplicationController),
		newKind("apps/v1", "Deployment", true,
			func(d *appsv1.Deployment) { defaultTemplate(&d.Spec.Template) },
			func(d *appsv1.Deployment) field.ErrorList { return validateWorkload(d.Spec.Selector, &d.Spec.Template) }),
		newKind("apps/v1", "ReplicaSet", true,
			func(r *appsv1.ReplicaSet) { defaultTemplate(&r.Spec.Template) },
			func(r *appsv1.ReplicaSet) field.ErrorList { return validateWorkload(r.Spec.Selector, &r.Spec.Template) }),
		newKind("apps/v1", "StatefulSet", true,
			func(s *appsv1.StatefulSet) { defaultTemplate(&s.Spec.Template) },
			func(s *appsv1.StatefulSet) field.ErrorList {
				return validateWorkload(s.Spec.Selector, &s.Spec.Template)
			}),
		newKind("apps/v1", "DaemonSet", true,
			func(d *appsv1.DaemonSet) { defaultTemplate(&d.Spec.Template) },
			func(d *appsv1.DaemonSet) field.ErrorList { return validateWorkload(d.Spec.Selector, &d.Spec.Template) }),
		newKind("batch/v1", "Job", true,
			func(j *batchv1.Job) { defaultTemplate(&j.Spec.Template) },
			func(j *batchv1.Job) field.ErrorList { return validateTemplate(&j.Spec.Template, field.NewPath("spec")) }),
		newKind("batch/v1", "CronJob", true,
			func(c *batchv1.CronJob) { defaultTemplate(&c.Spec.JobTemplate.Spec.Template) },
			func(c *batchv1.CronJob) field.ErrorList {
				return validateTemplate(&c.Spec.JobTemplate.Spec.Template, field.NewPath("spec", "jobTemplate", "spec"))
			}),
	}
}

func nothing[T any](T) {}

func lookupKind(apiVersion, name string) (kind, bool) {
	kinds := knownKinds()
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.apiVersion == apiVersion && k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// unserved is the message for a judged kind in a version or a spelling that no API server serves (any more), or empty.
// Kinds of the same name in other groups, such as serving.knative.dev/Service, are somebody else's.
func unserved(apiVersion, name string) string {
	kinds := knownKinds()
	i := slices.IndexFunc(kinds, func(k kind) bool { return strings.EqualFold(k.name, name) })
	if i < 0 {
		return ""
	}
	served := kinds[i]
	if slices.Contains(removedVersions(name), apiVersion) {
		return fmt.Sprintf("%s %s is no longer served; use %s", apiVersion, name, served.apiVersion)
	}
	group, _, grouped := strings.Cut(apiVersion, "/")
	switch {
	case apiVersion == served.apiVersion:
		return fmt.Sprintf("there is no %s in %s; use %s", name, apiVersion, served.name)
	case !grouped, slices.Contains(builtinGroups(), strings.ToLower(group)):
		return fmt.Sprintf("there is no %s in %s; use %s", name, apiVersion, served.apiVersion)
	}
	return ""
}

// builtinGroups are groups of API servers themselves, in which a kind of a judged name is that kind. There is no core, but
// people write it.
func builtinGroups() []string {
	return []string{"", "core", "networking.k8s.io", "apps", "batch", "extensions"}
}

// removedVersions are the versions a kind was once served in. Source: the
// deprecated API migration guide, kubernetes.io/docs/reference/using-api/deprecation-guide.
func removedVersions(name string) []string {
	switch name {
	case "Ingress":
		return []string{"extensions/v1beta1", "networking.k8s.io/v1beta1"}
	case "IngressClass":
		return []string{"networking.k8s.io/v1beta1"}
	case "NetworkPolicy":
		return []string{"extensions/v1beta1"}
	case "Deployment":
		return []string{"extensions/v1beta1", "apps/v1beta1", "apps/v1beta2"}
	case "StatefulSet":
		return []string{"apps/v1beta1", "apps/v1beta2"}
	case "DaemonSet", "ReplicaSet":
		return []string{"extensions/v1beta1", "apps/v1beta2"}
	case "CronJob":
		return []string{"batch/v1beta1", "batch/v2alpha1"}
	}
	return nil
}
