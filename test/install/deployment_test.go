package install

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The pods keep to Pod Security's restricted level, to the memory that Go is told of, and away from one another.
func TestDeployment(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			objects := kustomize(t, overlay)
			deployment := deploymentOf(t, objects)
			pod := deployment.Spec.Template.Spec
			container := pod.Containers[0]
			mine := labels.Set(deployment.Spec.Template.Labels)
			var budget policyv1.PodDisruptionBudget
			into(t, objects["PodDisruptionBudget sluice-system/sluice"].Object, &budget)
			spread := func(over string) bool {
				return slices.ContainsFunc(pod.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
					return c.TopologyKey == over && labels.SelectorFromSet(c.LabelSelector.MatchLabels).Matches(mine)
				})
			}
			for promise, kept := range map[string]bool{
				"two replicas":                *deployment.Spec.Replicas >= 2,
				"none goes before another":    deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() == 0,
				"a drain leaves one":          budget.Spec.MinAvailable.IntValue() == 1 && labels.SelectorFromSet(budget.Spec.Selector.MatchLabels).Matches(mine),
				"spread over nodes":           spread(corev1.LabelHostname),
				"spread over zones":           spread(corev1.LabelTopologyZone),
				"priority":                    pod.PriorityClassName == "system-cluster-critical",
				"requests":                    !container.Resources.Requests.Memory().IsZero() && !container.Resources.Requests.Cpu().IsZero(),
				"Go knows the memory limit":   !container.Resources.Limits.Memory().IsZero() && knowsItsMemory(container),
				"non-root":                    *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser != 0,
				"the certificate is readable": *pod.SecurityContext.FSGroup == *pod.SecurityContext.RunAsGroup,
				"seccomp":                     pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
				"read-only root":              *container.SecurityContext.ReadOnlyRootFilesystem,
				"no escalation":               !*container.SecurityContext.AllowPrivilegeEscalation,
				"no capabilities":             slices.Equal(container.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(container.SecurityContext.Capabilities.Add) == 0,
				"not on the node's network":   !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
				"probes":                      container.StartupProbe != nil && container.LivenessProbe.HTTPGet.Path == "/healthz" && container.ReadinessProbe.HTTPGet.Path == "/readyz",
				"time to drain":               container.Lifecycle.PreStop.Sleep.Seconds < *pod.TerminationGracePeriodSeconds,
				"the Service selects it":      labels.SelectorFromSet(serviceOf(t, objects).Spec.Selector).Matches(mine),
				"the Service's port is its":   webhookPort(t, objects) == 9443,
				"its account exists":          objects["ServiceAccount sluice-system/"+pod.ServiceAccountName] != nil,
				"certificates are where said": container.VolumeMounts[0].MountPath == "/var/run/sluice/certs",
			} {
				if !kept {
					t.Errorf("not kept: %s", promise)
				}
			}
		})
	}
}

// knowsItsMemory tells whether the kubelet tells the program the limit of its own container, in bytes.
func knowsItsMemory(container corev1.Container) bool {
	return slices.ContainsFunc(container.Env, func(v corev1.EnvVar) bool {
		return v.Name == "GOMEMLIMIT" && v.ValueFrom != nil && cmp.Equal(v.ValueFrom.ResourceFieldRef, &corev1.ResourceFieldSelector{Resource: "limits.memory"})
	})
}

// webhookPort is the container's port that the Service leads to.
func webhookPort(t *testing.T, objects Objects) int32 {
	t.Helper()
	target := serviceOf(t, objects).Spec.Ports[0].TargetPort.String()
	for _, port := range deploymentOf(t, objects).Spec.Template.Spec.Containers[0].Ports {
		if port.Name == target {
			return port.ContainerPort
		}
	}
	t.Fatalf("no port of the container is named %s", target)
	return 0
}

// What the Deployment says, the program understands.
func TestArguments(t *testing.T) {
	command := exec.Command("go", "run", "./cmd/sluice", "serve", "--help")
	command.Dir = "../.."
	help, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{}
	for _, overlay := range overlays {
		arguments = append(arguments, deploymentOf(t, kustomize(t, overlay)).Spec.Template.Spec.Containers[0].Args...)
	}
	every := chart(t, "sluice-system", map[string]any{"breakGlassGroups": []any{"a"}, "exemptNamespaces": []any{"b"}, "dataplane": "cilium", "webhookPort": 10250})
	arguments = append(arguments, deploymentOf(t, every).Spec.Template.Spec.Containers[0].Args...)
	for _, argument := range arguments {
		flag, _, _ := strings.Cut(argument, "=")
		if argument != "serve" && !strings.Contains(string(help), "    "+flag+" ") {
			t.Errorf("sluice serve has no %s", flag)
		}
	}
}
