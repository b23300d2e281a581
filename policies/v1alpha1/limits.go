package v1alpha1

import (
	"fmt"
	"unicode/utf8"
)

// The bounds that the schema of a GatePolicy sets to a rule of one's own. Lengths are in characters.
const (
	MaxRegoLength = 131072
	MaxLibs       = 8
	MaxLibLength  = 65536
	// MaxMessageLength is in characters.
	MaxMessageLength = 1024
	// MaxSize is in bytes: status holds the last good version beside the spec, and an object has at most 1.5 MiB in etcd.
	MaxSize = 512 << 10
)

// CheckSize says what of the spec the API server would refuse as too long or too many, now or with its status.
func (s *GatePolicySpec) CheckSize() error {
	if n := utf8.RuneCountInString(s.Rego); n > MaxRegoLength {
		return fmt.Errorf("spec.rego: %d characters, at most %d fit in a GatePolicy: move tables into parameters, or split the rule", n, MaxRegoLength)
	}
	if n := len(s.Libs); n > MaxLibs {
		return fmt.Errorf("spec.libs: %d modules, at most %d fit in a GatePolicy: put what belongs together into one module, or split the rule", n, MaxLibs)
	}
	for i, lib := range s.Libs {
		if n := utf8.RuneCountInString(lib); n > MaxLibLength {
			return fmt.Errorf("spec.libs[%d]: %d characters, at most %d fit in a GatePolicy: split the module", i, n, MaxLibLength)
		}
	}
	if n := utf8.RuneCountInString(s.Message); n > MaxMessageLength {
		return fmt.Errorf("spec.message: %d characters, at most %d: a warning shows fewer, give a link instead", n, MaxMessageLength)
	}
	size := len(s.Rego)
	for _, lib := range s.Libs {
		size += len(lib)
	}
	if s.Parameters != nil {
		size += len(s.Parameters.Raw)
	}
	if size > MaxSize {
		return fmt.Errorf("spec: rego, libs and parameters have %d bytes together, at most %d fit in a GatePolicy: split the rule", size, MaxSize)
	}
	return nil
}
