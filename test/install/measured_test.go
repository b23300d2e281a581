package install

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metric is what the code says of one.
type metric struct {
	labels    []string
	histogram bool
}

// ofEvery are the metrics of a scrape that are not Sluice's own.
var ofEvery = map[string]metric{
	"up": {}, "go_goroutines": {}, "process_resident_memory_bytes": {}, "process_cpu_seconds_total": {},
	"leader_election_master_status": {labels: []string{"name"}},
}

// metrics are Sluice's own, by name, and the words that its code has in quotes: values of labels are among them.
type metrics struct {
	own   map[string]metric
	words map[string]bool
}

var (
	metricName = regexp.MustCompile(`^sluice_[a-z_]+$`)
	labelName  = regexp.MustCompile(`^[a-z_]+$`)
)

// measures reads them from the source. This module does not depend on the program's, which has more than this one needs to build.
func measures(t *testing.T) metrics {
	t.Helper()
	read := metrics{map[string]metric{}, map[string]bool{}}
	for _, folder := range []string{"certs", "cmd", "policies/controllers", "policies/v1alpha1", "webhook"} {
		err := filepath.WalkDir("../../"+folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := goparser.ParseFile(token.NewFileSet(), path, nil, goparser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if call, ok := node.(*ast.CallExpr); ok {
					read.define(call)
				}
				if word := text(node); word != "" {
					read.words[word] = true
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for word := range read.words {
		if _, defined := read.own[word]; metricName.MatchString(word) && !defined {
			t.Errorf("%s is in the code, and no call defines it in a way that this test reads", word)
		}
	}
	return read
}

// define notes the metric that a call makes, if it does: its name is the first argument or in the options there, and its labels are
// what is named after that.
func (m metrics) define(call *ast.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	name := text(call.Args[0])
	if options, ok := call.Args[0].(*ast.CompositeLit); ok {
		for _, element := range options.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Name" {
					name = text(pair.Value)
				}
			}
		}
	}
	if !metricName.MatchString(name) {
		return
	}
	made := metric{}
	if function, ok := call.Fun.(*ast.SelectorExpr); ok {
		made.histogram = strings.HasPrefix(function.Sel.Name, "NewHistogram")
	}
	for _, argument := range call.Args[1:] {
		named := []ast.Expr{argument}
		if list, ok := argument.(*ast.CompositeLit); ok {
			named = list.Elts
		}
		for _, one := range named {
			if label := text(one); labelName.MatchString(label) {
				made.labels = append(made.labels, label)
			}
		}
	}
	m.own[name] = made
}

// text is that of a string in quotes; "" of anything else.
func text(node ast.Node) string {
	literal, ok := node.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	content, _ := strconv.Unquote(literal.Value) // the file was parsed
	return content
}

// check reports what an expression asks for and nothing measures, and returns the metrics that it asks for.
func (m metrics) check(expression string, report func(format string, args ...any)) (asked []string) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expression, "$__rate_interval", "5m"))
	if err != nil {
		report("%v", err)
		return nil
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			asked = append(asked, n.Name)
			if _, ok := m.labels(n.Name); !ok {
				report("nothing measures %s", n.Name)
				return nil
			}
			for _, matcher := range n.LabelMatchers {
				m.checkMatcher(n, matcher, report)
			}
		case *parser.AggregateExpr:
			m.checkLabels(n.Expr, n.Grouping, report)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				m.checkLabels(n.LHS, n.VectorMatching.MatchingLabels, report)
				m.checkLabels(n.RHS, n.VectorMatching.MatchingLabels, report)
			}
		}
		return nil
	})
	return asked
}

// checkLabels reports labels that some metric below a node does not have, whose series it is made of.
func (m metrics) checkLabels(below parser.Node, named []string, report func(format string, args ...any)) {
	parser.Inspect(below, func(node parser.Node, path []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok && !onlyFilters(node, path) {
			has, ok := m.labels(selector.Name)
			for _, label := range named {
				if ok && !slices.Contains(has, label) {
					report("%s has no label %s", selector.Name, label)
				}
			}
		}
		return nil
	})
}

// onlyFilters tells whether a node says which series there are of others: it is on the right of `and` or `unless`.
func onlyFilters(node parser.Node, path []parser.Node) bool {
	for i, above := range path {
		next := node
		if i+1 < len(path) {
			next = path[i+1]
		}
		if set, ok := above.(*parser.BinaryExpr); ok && (set.Op == parser.LAND || set.Op == parser.LUNLESS) && next == parser.Node(set.RHS) {
			return true
		}
	}
	return false
}

// notInCode are labels whose values come from a cluster.
var notInCode = []string{"policy", "kind", "job", "pod", "le", "name"}

// checkMatcher reports a label that the metric does not have, and a value that no label has.
func (m metrics) checkMatcher(selector *parser.VectorSelector, matcher *labels.Matcher, report func(format string, args ...any)) {
	if matcher.Name == labels.MetricName {
		return
	}
	m.checkLabels(selector, []string{matcher.Name}, report)
	if slices.Contains(notInCode, matcher.Name) {
		return
	}
	for _, value := range strings.Split(matcher.Value, "|") {
		if !m.words[value] {
			report("nothing has %s=%q", matcher.Name, value)
		}
	}
}

// labels are those that the series of a name have; not ok if there are none.
func (m metrics) labels(series string) (names []string, ok bool) {
	base := series
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if cut, ok := strings.CutSuffix(series, suffix); ok {
			base = cut
		}
	}
	found, ok := m.own[base]
	if !ok {
		found, ok = ofEvery[base]
	}
	names = append(slices.Clone(found.labels), "job", "instance", "pod")
	if strings.HasSuffix(series, "_bucket") {
		names = append(names, "le")
	}
	return names, ok && found.histogram == (base != series)
}
