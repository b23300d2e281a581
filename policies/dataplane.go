package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-gate/sluice/policies/engine"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
)

// DataplaneRule is the rule that has to be told what enforces NetworkPolicies, by the parameter dataplane.
const DataplaneRule = "networkpolicy-dataplane"

const dataplaneParameter = "dataplane"

// DataplaneDefaults are Options.Defaults that tell the rule of library which dataplane it is: a name, or auto. An empty
// name tells nothing. The error lists the names.
func DataplaneDefaults(library *engine.Library, name string) (map[string]map[string]any, error) {
	if name == "" {
		return nil, nil
	}
	rule, found := library.Rule(DataplaneRule)
	if !found {
		return nil, errors.New("there is no rule " + DataplaneRule)
	}
	names := dataplaneNames(rule)
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("there is no dataplane %q; want one of %s", name, strings.Join(names, ", "))
	}
	return map[string]map[string]any{DataplaneRule: {dataplaneParameter: name}}, nil
}

// dataplaneNames are those that the rule takes.
func dataplaneNames(rule *engine.Rule) []string {
	properties, _ := rule.Parameters["properties"].(map[string]any)
	parameter, _ := properties[dataplaneParameter].(map[string]any)
	values, _ := parameter["enum"].([]any)
	var names []string
	for _, value := range values {
		if name, ok := value.(string); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// withDefaults are the parameters of a policy, and those that stand in where it has none.
func withDefaults(given map[string]any, spec v1alpha1.GatePolicySpec, defaults map[string]map[string]any) map[string]any {
	if given == nil { // null
		given = map[string]any{}
	}
	for name, value := range defaults[spec.Rule] {
		if _, told := given[name]; !told {
			given[name] = value
		}
	}
	return given
}
