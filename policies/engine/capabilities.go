package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// allowedBuiltins is every OPA built-in that a rule may call. What is missing is missing for a reason:
// it reaches the network or the process (http.send, opa.runtime, net.lookup_ip_addr, trace, print),
// differs from run to run (rand.*, uuid.*, time.now_ns), can't be interrupted or bounded (rego.parse_module,
// bits.lsh, net.cidr_expand, json.match_schema, json.verify_schema, graphql.*, io.jwt.*, crypto.x509.*,
// strings.render_template, yaml.*, regex.globs_match), or
// is deprecated.
const allowedBuiltins = `
	abs array.concat array.flatten array.reverse array.slice assign base64.decode base64.encode base64.is_valid
	base64url.decode base64url.encode base64url.encode_no_pad bits.and bits.negate bits.or bits.xor ceil concat
	contains count crypto.hmac.equal crypto.md5 crypto.sha1 crypto.sha256 div endswith eq equal floor format_int
	glob.match glob.quote_meta graph.reachable gt gte hex.decode hex.encode indexof indexof_n internal.member_2 internal.member_3
	internal.template_string intersection is_array is_boolean is_null is_number is_object is_set
	is_string json.filter json.is_valid json.marshal json.patch json.remove json.unmarshal lower lt lte max min minus
	mul neq net.cidr_contains net.cidr_contains_matches net.cidr_intersects net.cidr_is_valid net.cidr_merge
	numbers.range numbers.range_step object.filter object.get object.keys object.remove object.subset object.union
	object.union_n or and plus product regex.find_n regex.is_valid regex.match regex.replace regex.split
	regex.find_all_string_submatch_n rem replace round semver.compare semver.is_valid sort split sprintf startswith
	strings.any_prefix_match strings.any_suffix_match strings.count strings.replace_n strings.reverse substring sum
	time.add_date time.clock time.date time.diff time.format time.parse_duration_ns time.parse_ns
	time.parse_rfc3339_ns time.weekday to_number trim trim_left trim_prefix trim_right trim_space trim_suffix
	type_name union units.parse units.parse_bytes upper urlquery.decode urlquery.encode uri.is_valid uri.parse walk
	internal.test_case`

// capabilities are the language and the built-in functions that rules may use: the allow-list of
// OPA's own, and the facts under sluice.*. They are never changed.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	allowed := strings.Fields(allowedBuiltins)
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return !slices.Contains(allowed, b.Name)
	})
	for _, f := range factFunctions() {
		caps.Builtins = append(caps.Builtins, f.declaration())
	}
	slices.SortFunc(caps.Builtins, func(a, b *ast.Builtin) int { return strings.Compare(a.Name, b.Name) })
	caps.AllowNet = []string{}
	return caps
})

// Capabilities is the OPA capabilities file for editors and `opa check --capabilities`.
func Capabilities() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(capabilities()); err != nil {
		return nil, fmt.Errorf("encode capabilities: %w", err)
	}
	return out.Bytes(), nil
}
