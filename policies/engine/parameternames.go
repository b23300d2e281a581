package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/sluice-gate/sluice/policies/spelling"
)

// meant asks after the parameters whose names are near to those that are unknown; "" if there are none.
func (p parameters) meant(refused any) string {
	unknown, ok := refused.(*kind.AdditionalProperties)
	if !ok {
		return ""
	}
	known := propertyPaths(p.source, "")
	var near []string
	for _, name := range unknown.Properties {
		if path := nearestParameter(name, known); path != "" {
			near = append(near, strconv.Quote(path))
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(near, ", ") + "?"
}

// propertyPaths are those of a schema's properties, such as dns and dns.ports, sorted.
func propertyPaths(schema map[string]any, prefix string) []string {
	properties, _ := schema["properties"].(map[string]any)
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		paths = append(paths, prefix+name)
		below, _ := properties[name].(map[string]any)
		paths = append(paths, propertyPaths(below, prefix+name+".")...)
	}
	return paths
}

// nearestParameter is the path whose names together are the same letters, as dns.nodeLocal and nodeLocalDNS, or whose last name is
// nearest; "" if there is none.
func nearestParameter(name string, paths []string) string {
	lasts := make([]string, len(paths))
	for i, path := range paths {
		if letters(name) == letters(path) {
			return path
		}
		lasts[i] = path[strings.LastIndexByte(path, '.')+1:]
	}
	best := spelling.Nearest(name, lasts)
	if best == "" {
		return ""
	}
	return paths[slices.Index(lasts, best)]
}

func letters(path string) string {
	return string(slices.Sorted(slices.Values([]byte(strings.ToLower(strings.ReplaceAll(path, ".", ""))))))
}
