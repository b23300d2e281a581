package schema

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestRequestHasTheFieldsOfItsType compares the hand-written schema with Kubernetes' Go types.
func TestRequestHasTheFieldsOfItsType(t *testing.T) {
	properties := request(object{})["properties"].(object)
	at := func(name string) any { return properties[name] }
	tests := []struct {
		name   string
		schema any
		typed  any
	}{
		{"request", request(object{}), admissionv1.AdmissionRequest{}},
		{"kind", at("kind"), metav1.GroupVersionKind{}},
		{"requestKind", at("requestKind"), metav1.GroupVersionKind{}},
		{"resource", at("resource"), metav1.GroupVersionResource{}},
		{"requestResource", at("requestResource"), metav1.GroupVersionResource{}},
		{"userInfo", at("userInfo"), authenticationv1.UserInfo{}},
	}
	for _, test := range tests {
		fields := test.schema.(object)["properties"].(object)
		got := slices.Sorted(maps.Keys(fields))
		if want := jsonFields(test.typed); !slices.Equal(got, want) {
			t.Errorf("%s: fields %v, want %v", test.name, got, want)
		}
	}
}

func jsonFields(value any) []string {
	typed := reflect.TypeOf(value)
	var names []string
	for i := range typed.NumField() {
		name, _, _ := strings.Cut(typed.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
