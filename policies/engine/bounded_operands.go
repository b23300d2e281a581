package engine

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"
)

// termSize is about the number of bytes of v written as JSON, and stops counting at limit: shared parts
// count as often as they would be written.
func termSize(v ast.Value, limit int) int {
	switch v := v.(type) {
	case ast.String:
		return 2 + len(v)
	case ast.Number:
		return 2 + len(v)
	case *ast.Array, ast.Set, ast.Object:
		return collectionSize(v, limit)
	}
	return 2
}

func collectionSize(v ast.Value, limit int) int {
	size := 2
	add := func(t *ast.Term) bool {
		size += 1 + termSize(t.Value, limit-size)
		return size >= limit
	}
	switch v := v.(type) {
	case *ast.Array:
		v.Until(add)
	case ast.Set:
		v.Until(add)
	case ast.Object:
		v.Until(func(k, t *ast.Term) bool { return add(k) || add(t) })
	}
	return size
}

func checkWritten(args ...*ast.Term) error {
	size := 0
	for _, arg := range args {
		size += termSize(arg.Value, maxText)
	}
	return checkSize(size)
}

func checkSize(size int) error {
	if size >= maxText {
		return fmt.Errorf("the result would be larger than %d bytes", maxText)
	}
	return nil
}

func textLen(term *ast.Term) int {
	s, _ := term.Value.(ast.String)
	return len(s)
}

func itemCount(term *ast.Term) int {
	switch v := term.Value.(type) {
	case *ast.Array:
		return v.Len()
	case ast.Set:
		return v.Len()
	case ast.Object:
		return v.Len()
	}
	return 0
}

func checkConcat(args []*ast.Term) error {
	return checkSize(textLen(args[0])*itemCount(args[1]) + termSize(args[1].Value, maxText))
}

// checkSprintf bounds the arguments as often as the format may name them, and the width and precision
// that a verb may ask for.
func checkSprintf(args []*ast.Term) error {
	format, _ := args[0].Value.(ast.String)
	padding, err := checkWidths(string(format))
	if err != nil {
		return err
	}
	if err := checkWritten(args...); err != nil {
		return err
	}
	times := max(1, strings.Count(string(format), "%")/2) // most formats name each argument once
	return checkSize(len(format) + padding + times*termSize(args[1].Value, maxText))
}

// checkWidths refuses verbs whose width or precision is large, or comes from an argument. Padding is no less than what all
// of them write beside their arguments.
func checkWidths(format string) (padding int, err error) {
	for rest := format; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return padding, nil
		}
		if text, escaped := strings.CutPrefix(after, "%"); escaped {
			rest = text
			continue
		}
		flags := after[:len(after)-len(strings.TrimLeft(after, "+-# 0123456789.[]"))]
		if strings.HasPrefix(after[len(flags):], "*") {
			return 0, errors.New("a width taken from an argument (%*d) is not supported")
		}
		for _, number := range strings.FieldsFunc(flags, isNoDigit) {
			width, _ := strconv.Atoi(number)
			if padding += width; len(number) > 3 {
				return 0, fmt.Errorf("a number of more than 3 digits in the format %.40q is a width", format)
			}
		}
		rest = after
	}
}

func isNoDigit(r rune) bool { return !unicode.IsDigit(r) }

func checkReplace(args []*ast.Term) error {
	s, _ := args[0].Value.(ast.String)
	old, _ := args[1].Value.(ast.String)
	return checkSize(len(s) + strings.Count(string(s), string(old))*textLen(args[2]))
}

func checkReplaceN(args []*ast.Term) error {
	longest := 0
	if patterns, ok := args[0].Value.(ast.Object); ok {
		patterns.Foreach(func(_, v *ast.Term) { longest = max(longest, textLen(v)) })
	}
	return checkSize((textLen(args[1]) + 1) * longest / 4)
}

func checkRegexReplace(args []*ast.Term) error {
	s, value := textLen(args[0]), args[2].Value
	text, _ := value.(ast.String)
	each := len(text) + strings.Count(string(text), "$")*s
	pattern, _ := args[1].Value.(ast.String)
	if err := checkRegexOperands(string(pattern), s); err != nil {
		return err
	}
	return checkSize((s + 1) * each / 4)
}

// Limits of regular expressions: matching takes time in the product of text and expression, within one call.
const (
	maxRegexText   = 16 << 10 // bytes
	maxRegexRepeat = 100      // in {n}
)

var regexRepeat = regexp.MustCompile(`\{(\d+)`)

func checkRegex(args []*ast.Term) error {
	pattern, _ := args[0].Value.(ast.String)
	return checkRegexOperands(string(pattern), textLen(args[1]))
}

func checkRegexOperands(pattern string, text int) error {
	if text > maxRegexText || len(pattern) > maxRegexText {
		return fmt.Errorf("a text of more than %d bytes", maxRegexText)
	}
	if !strings.Contains(pattern, "{") {
		return nil
	}
	for _, repeat := range regexRepeat.FindAllStringSubmatch(pattern, -1) {
		if len(repeat[1]) > 3 || len(repeat[1]) == 3 && repeat[1] > strconv.Itoa(maxRegexRepeat) {
			return fmt.Errorf("the expression repeats {%s}, more than %d times", repeat[1], maxRegexRepeat)
		}
	}
	return nil
}

// checkPairs bounds a comparison of everything with everything.
func checkPairs(args []*ast.Term) error {
	if a, b := max(1, itemCount(args[0])), max(1, itemCount(args[1])); a*b > maxItems/10 {
		return fmt.Errorf("%d × %d comparisons are more than %d", a, b, maxItems/10)
	}
	return nil
}

func checkItems(args []*ast.Term) error {
	if n := itemCount(args[0]) + itemCount(args[1]); n > maxItems {
		return fmt.Errorf("the result would have %d items, more than %d", n, maxItems)
	}
	return nil
}

func checkRange(args []*ast.Term) error {
	from, okFrom := args[0].Value.(ast.Number)
	to, okTo := args[1].Value.(ast.Number)
	if !okFrom || !okTo {
		return nil // the function itself says what is wrong
	}
	a, okA := from.Int64()
	b, okB := to.Int64()
	width := new(big.Int).Sub(big.NewInt(b), big.NewInt(a))
	if okA && okB && width.CmpAbs(big.NewInt(maxItems)) <= 0 {
		return nil
	}
	return fmt.Errorf("the range %s to %s has more than %d numbers", from, to, maxItems)
}

func checkGlob(args []*ast.Term) error {
	pattern, _ := args[0].Value.(ast.String)
	if n := strings.Count(string(pattern), "*"); n > maxGlobStars || len(pattern) > 1024 {
		return fmt.Errorf("the pattern has %d stars in %d bytes, at most %d in 1024 are supported", n, len(pattern), maxGlobStars)
	}
	return nil
}

// checkNumbers refuses numbers whose arithmetic would write out many digits.
func checkNumbers(args []*ast.Term) error {
	var err error
	check := func(t *ast.Term) bool {
		number, ok := t.Value.(ast.Number)
		if ok && len(number) > 6 && !smallNumber(string(number)) {
			err = fmt.Errorf("a number has more than %d digits", maxDigits)
		}
		return err != nil
	}
	for _, arg := range args {
		switch v := arg.Value.(type) {
		case *ast.Array:
			v.Until(check)
		case ast.Set:
			v.Until(check)
		default:
			check(arg)
		}
	}
	return err
}

func smallNumber(text string) bool {
	mantissa, exponent, has := strings.Cut(strings.ToLower(text), "e")
	return len(mantissa) <= maxDigits && (!has || len(strings.TrimLeft(exponent, "+-0")) <= 2)
}
