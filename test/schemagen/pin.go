//go:build never

package main

// The module is a source of files, not of code: this import is never compiled, it only keeps
// `go mod tidy` from dropping the requirement. The package imports nothing but the standard
// library, so that none of Kubernetes' own dependencies enter this module.
import _ "k8s.io/kubernetes/pkg/util/slice"
