// Package profiles holds the named sets of policies that Sluice ships.
package profiles

import "embed"

// Files are <profile>.yaml, each a stream of GatePolicies.
//
//go:embed *.yaml
var Files embed.FS
