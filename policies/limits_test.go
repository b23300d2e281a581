package policies_test

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// The limits are those of the schema that the API server goes by.
func TestLimitsAreTheSchemas(t *testing.T) {
	data, err := os.ReadFile("../config/crd/policy.sluice.dev_gatepolicies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		MaxLength, MaxItems int
		Items               *property
		Properties          map[string]*property
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct{ OpenAPIV3Schema property }
			}
		}
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties
	if rego, libs := spec["rego"], spec["libs"]; rego.MaxLength != v1alpha1.MaxRegoLength || libs.MaxItems != v1alpha1.MaxLibs ||
		libs.Items.MaxLength != v1alpha1.MaxLibLength || spec["message"].MaxLength != v1alpha1.MaxMessageLength {
		t.Errorf("the schema has %+v, %+v, %+v, %+v", rego, libs, libs.Items, spec["message"])
	}
}

func TestCheckSize(t *testing.T) {
	full := v1alpha1.GatePolicySpec{Rego: strings.Repeat("ä", v1alpha1.MaxRegoLength), Libs: make([]string, v1alpha1.MaxLibs)}
	full.Libs[7] = strings.Repeat("ä", v1alpha1.MaxLibLength)
	full.Message = strings.Repeat("ä", v1alpha1.MaxMessageLength)
	full.Parameters = &runtime.RawExtension{Raw: make([]byte, v1alpha1.MaxSize-len(full.Rego)-len(full.Libs[7]))}
	if err := full.CheckSize(); err != nil {
		t.Errorf("what just fits: %v", err)
	}
	for want, change := range map[string]func(*v1alpha1.GatePolicySpec){
		"spec.rego: 131073 characters, at most 131072": func(s *v1alpha1.GatePolicySpec) { s.Rego += "x" },
		"spec.libs: 9 modules, at most 8":              func(s *v1alpha1.GatePolicySpec) { s.Libs = append(s.Libs, "x") },
		"spec.message: 1025 characters, at most 1024":  func(s *v1alpha1.GatePolicySpec) { s.Message += "x" },
		"spec: rego, libs and parameters have 524289 bytes together, at most 524288": func(s *v1alpha1.GatePolicySpec) {
			s.Parameters.Raw = append(s.Parameters.Raw, '1')
		},
		"spec.libs[7]: 65537 characters, at most 65536": func(s *v1alpha1.GatePolicySpec) { s.Libs[7] += "x" },
	} {
		s := full.DeepCopy()
		change(s)
		if err := s.CheckSize(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
