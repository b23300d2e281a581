package webhook

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/sluice-gate/sluice/policies"
)

// breakGlass makes an event of what somebody did by a break-glass group, about the object and naming who it was. None is left
// out.
func (t *teller) breakGlass(request policies.Request, finding policies.Finding) {
	who := &corev1.ObjectReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "User", Name: request.User.Name} // one event each
	t.recorder.Eventf(regarding(request), who, corev1.EventTypeWarning, "BreakGlass", operationName(request.Operation), "%s",
		shorten(request.User.Name+": "+string(request.Operation)+": policy "+finding.Policy+": "+finding.Message, maxEventNote))
}
