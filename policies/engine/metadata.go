package engine

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Operation is an admission operation as AdmissionReview spells it.
type Operation string

// The operations that a rule can be run for. CONNECT is none of them: it carries no object.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)

func operations() []Operation { return []Operation{Create, Update, Delete} }

// Metadata is what a rule says of itself in its METADATA block.
type Metadata struct {
	ID          string // ingress-tls-required
	Title       string
	Description string
	References  []string
	Severity    string // one of Severities
	Kinds       []schema.GroupKind
	Operations  []Operation
	// Subresources are judged besides the object itself, such as status.
	Subresources []string
	// Only is HostNetwork for a rule that is run for some objects of its kinds only; "" for all.
	Only string
	// Judges are the paths whose change makes an update more than housekeeping.
	Judges []string
	// NeverRatchets: an update is refused even if it changes nothing that the rule judges (custom.ratchet is false).
	NeverRatchets bool
	// Leaving: the rule is also asked about the update of a Namespace that takes it out of a policy's namespaceSelector.
	Leaving bool
	// State are the kinds that the rule asks about, some of them only under some parameters: see StateUnder.
	State   []schema.GroupKind
	stateIf kindConditions
	// Generates are the kinds that the rule's generate may produce, some only under some parameters: see GeneratesUnder.
	Generates   []schema.GroupKind
	generatesIf kindConditions
	Parameters  map[string]any // a JSON Schema, nil for a rule without parameters
}

// Severities are the values of custom.severity, the worst first.
func Severities() []string { return []string{"critical", "high", "medium", "low"} }

// metadata reads the package's METADATA block. Every gap and every unknown key is an error of its own.
func metadata(module *ast.Module) (Metadata, error) {
	note := packageAnnotations(module)
	if note == nil {
		return Metadata{}, fault(module.Package.Location,
			"no METADATA for the package: write `# METADATA` with title, description and custom.severity, custom.kinds above `package`")
	}
	m := Metadata{ID: ruleID(module.Package), Title: note.Title, Description: strings.TrimSpace(note.Description)}
	for _, r := range note.RelatedResources {
		m.References = append(m.References, r.Ref.String())
	}
	r := customReader{at: note.Location, custom: note.Custom}
	for key, text := range map[string]string{"title": m.Title, "description": m.Description} {
		if text == "" {
			r.errs = append(r.errs, fault(note.Location, "METADATA has no %s", key))
		}
	}
	m.Severity = r.severity()
	m.Kinds = r.kinds()
	m.Operations = r.operations()
	m.Subresources = r.subresources()
	m.Only = r.only(m.Kinds)
	m.Judges = r.texts("judges")
	m.NeverRatchets = !r.flag("ratchet", true)
	m.Leaving = r.flag("leaving", false)
	m.State, m.stateIf = r.conditionalKinds("state")
	m.Generates, m.generatesIf = r.conditionalKinds("generates")
	m.Parameters = r.parameters()
	r.checkConditions("state", m.stateIf, m.Parameters)
	r.checkConditions("generates", m.generatesIf, m.Parameters)
	r.unknownKeys()
	slices.SortFunc(r.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return m, errors.Join(r.errs...)
}

func packageAnnotations(module *ast.Module) *ast.Annotations {
	for _, a := range module.Annotations {
		if a.Scope == "package" || a.Scope == "subpackages" {
			return a
		}
	}
	return nil
}

// ruleID is the package path below sluice, joined by dashes.
func ruleID(pkg *ast.Package) string {
	var parts []string
	for _, term := range pkg.Path[1:] {
		if s, ok := term.Value.(ast.String); ok {
			parts = append(parts, strings.ReplaceAll(string(s), "_", "-"))
		}
	}
	if len(parts) > 1 && parts[0] == "sluice" {
		parts = parts[1:]
	}
	return strings.Join(parts, "-")
}

// customReader reads the keys below custom and collects what is wrong with them.
type customReader struct {
	at     *ast.Location
	custom map[string]any
	read   []string
	errs   []error
}

func (r *customReader) get(key string) (any, bool) {
	r.read = append(r.read, key)
	value, ok := r.custom[key]
	return value, ok
}

func (r *customReader) bad(key, format string, args ...any) {
	r.errs = append(r.errs, fault(r.at, "METADATA custom.%s: %s", key, fmt.Sprintf(format, args...)))
}

func (r *customReader) unknownKeys() {
	for key := range r.custom {
		if !slices.Contains(r.read, key) {
			slices.Sort(r.read)
			r.bad(key, "unknown key, want one of %s", strings.Join(r.read, ", "))
		}
	}
}

func (r *customReader) severity() string {
	value, _ := r.get("severity")
	text, _ := value.(string)
	if !slices.Contains(Severities(), text) {
		r.bad("severity", "want one of %s", strings.Join(Severities(), ", "))
	}
	return text
}

func (r *customReader) texts(key string) []string {
	value, ok := r.get(key)
	if !ok {
		return nil
	}
	items, ok := value.([]any)
	if !ok {
		r.bad(key, "want a list of strings")
		return nil
	}
	var out []string
	for _, item := range items {
		text, ok := item.(string)
		if !ok || text == "" {
			r.bad(key, "want a list of strings, found %v", item)
			continue
		}
		out = append(out, text)
	}
	return out
}

func (r *customReader) flag(key string, fallback bool) bool {
	value, there := r.get(key)
	flag, ok := value.(bool)
	switch {
	case !there:
		return fallback
	case !ok:
		r.bad(key, "want true or false")
	}
	return flag
}

// ParseGroupKind reads group/Kind; the core group is bare.
func ParseGroupKind(text string) (schema.GroupKind, error) {
	group, kind, grouped := strings.Cut(text, "/")
	if !grouped {
		group, kind = "", text
	}
	isKind := kind != "" && 'A' <= kind[0] && kind[0] <= 'Z' && !strings.ContainsFunc(kind, noKindLetter)
	if !isKind || grouped && group == "" || strings.ContainsFunc(group, noGroupLetter) {
		return schema.GroupKind{}, fmt.Errorf("%q: want group/Kind such as networking.k8s.io/Ingress, or a bare Kind of the core group such as Service", text)
	}
	return schema.GroupKind{Group: group, Kind: kind}, nil
}

func noGroupLetter(r rune) bool {
	return (r < 'a' || 'z' < r) && (r < '0' || '9' < r) && r != '.' && r != '-'
}

func noKindLetter(r rune) bool {
	return (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) && (r < '0' || '9' < r)
}

// FormatGroupKind is the reverse of ParseGroupKind.
func FormatGroupKind(kind schema.GroupKind) string {
	if kind.Group == "" {
		return kind.Kind
	}
	return kind.Group + "/" + kind.Kind
}

func (r *customReader) kinds() []schema.GroupKind {
	texts := r.texts("kinds")
	if len(texts) == 0 {
		r.bad("kinds", "missing: name the kinds that the rule judges, such as networking.k8s.io/Ingress")
	}
	var out []schema.GroupKind
	for _, text := range texts {
		kind, err := ParseGroupKind(text)
		if err != nil {
			r.bad("kinds", "%v", err)
			continue
		}
		out = append(out, kind)
	}
	return out
}

var subresourceForm = regexp.MustCompile(`^[a-z]+$`)

// subresources are those under which the API server sends the object itself. Under others it sends an object of a kind of
// its own, such as Scale, which no rule of the parent's kind would be asked about: it would be silent.
func (r *customReader) subresources() []string {
	var out []string
	for _, text := range r.texts("subresources") {
		switch {
		case !subresourceForm.MatchString(text):
			r.bad("subresources", "%q: want names such as status", text)
		case slices.Contains([]string{"attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "scale", "token"}, text):
			r.bad("subresources", "%q: its requests are not about an object of the rule's kinds, so that the rule would judge none", text)
		default:
			out = append(out, text)
		}
	}
	return out
}

func (r *customReader) operations() []Operation {
	texts := r.texts("operations")
	if texts == nil {
		return []Operation{Create, Update}
	}
	var out []Operation
	for _, text := range texts {
		op := Operation(text)
		if !slices.Contains(operations(), op) {
			r.bad("operations", "%q: want CREATE, UPDATE or DELETE", text)
		}
		out = append(out, op)
	}
	return out
}

func (r *customReader) parameters() map[string]any {
	value, ok := r.get("parameters")
	if !ok {
		return nil
	}
	object, ok := value.(map[string]any)
	if !ok || object["type"] != "object" {
		r.bad("parameters", "want a JSON Schema of type object")
		return nil
	}
	if object["additionalProperties"] != false {
		r.bad("parameters", "want additionalProperties: false, so that a misspelt parameter is an error")
	}
	return object
}
