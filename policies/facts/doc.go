// Package facts computes what Kubernetes network objects mean: which addresses
// and ports a NetworkPolicy opens, which pods a selector can select, which
// hosts an Ingress serves and which of them its certificates cover.
//
// Every fact is a pure function of plain API objects. It reads no clock, no
// cluster and no environment, never changes its arguments, is safe for
// concurrent use and does not panic on objects that the API server would have
// refused: those are errors that name the field and the value.
//
// Field names in results are Kubernetes field paths, such as
// spec.egress[0].to[1].ipBlock.cidr. A path names a field that is present in
// the object: what is missing is reported at its parent.
package facts
