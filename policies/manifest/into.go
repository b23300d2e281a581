package manifest

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DecodeInto decodes an object strictly into its Go type, for kinds that Decode doesn't know: unknown fields
// and wrong types are problems, sorted by position. Defaults and validation are the caller's.
func DecodeInto(object *Object, into metav1.Object) []Problem {
	problems := decodeInto(object, into)
	sortProblems(problems)
	return problems
}
