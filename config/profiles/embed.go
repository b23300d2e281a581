// Package profiles holds the named sets of policies that Sluice ships.
package profiles

import "embed"

// Files are <profile>/policies.yaml, each a stream of GatePolicies.
//
//go:embed */policies.yaml
var Files embed.FS
