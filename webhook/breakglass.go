package webhook

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-gate/sluice/policies"
)

// tellBreakGlass makes an event of what somebody did by a break-glass group, about the object and naming who it was. A dry
// run did nothing.
func (e *endpoint) tellBreakGlass(request policies.Request, decision policies.Decision) {
	if !decision.BreakGlass || request.DryRun || e.events == nil || len(decision.Findings) == 0 {
		return
	}
	subject := request.Subject()
	namespace := request.Namespace
	if request.Kind.Group == "" && request.Kind.Kind == "Namespace" {
		namespace = ""
	}
	regarding := &corev1.ObjectReference{
		APIVersion: request.Kind.GroupVersion().String(), Kind: request.Kind.Kind, Namespace: namespace, Name: request.Name,
		UID: types.UID(subject.Get("metadata", "uid").Text()),
	}
	who := &corev1.ObjectReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "User", Name: request.User.Name} // one event each
	e.events.Eventf(regarding, who, corev1.EventTypeWarning, "BreakGlass", operationName(request.Operation), "%s",
		shorten(request.User.Name+": "+string(request.Operation)+": policy "+decision.Findings[0].Policy+": "+decision.Findings[0].Message, maxEventNote))
}

// maxEventNote is what fits in an event's note, in bytes: 1,024 less what the API server may add.
const maxEventNote = 1000
