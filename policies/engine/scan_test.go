package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

func TestParseJSONSaysWhereAndWhy(t *testing.T) {
	many := func(n int) string { // an object of n keys
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`"k%02d":0`, i))
		}
		return strings.Join(out, ",")
	}
	tests := map[string]struct {
		text   string
		offset int
		reason string
	}{
		"empty":              {"", 0, "unexpected end"},
		"blank":              {" \n", 2, "unexpected end"},
		"word":               {" nul", 1, `unexpected "n"`},
		"two":                {"1 2", 2, "after the end"},
		"open object":        {`{`, 1, "unexpected end"},
		"open key":           {`{"a`, 3, "unexpected end"},
		"open member":        {`{"a":1`, 6, "unexpected end"},
		"open array":         {`[1`, 2, "unexpected end"},
		"no colon":           {`{"a" 1}`, 5, `expected ':' after the key "a"`},
		"no value":           {`{"a":}`, 5, "expected a JSON value"},
		"no comma":           {`[1 2]`, 3, "expected ','"},
		"comma at the end":   {`[1,]`, 3, "after a comma"},
		"comma in an object": {`{"a":1,}`, 7, "after a comma"},
		"only a comma":       {`{,}`, 1, "a key in quotes"},
		"key without quotes": {`{a:1}`, 1, "a key in quotes"},
		"wrong end":          {`[1}`, 2, "expected ','"},
		"leading zero":       {`01`, 1, "after the end"},
		"sign":               {`-`, 1, "expected a digit"},
		"plus":               {`+1`, 0, `unexpected "+"`},
		"point":              {`1.`, 2, "after the decimal point"},
		"exponent":           {`1e`, 2, "in the exponent"},
		"huge exponent":      {`[1e-10000]`, 9, "more than 4 digits"},
		"newline":            {"\"a\nb\"", 2, "control character 0x0a"},
		"control after \\":   {"\"\\n\x01\"", 3, "control character 0x01"},
		"escape":             {`"\x"`, 1, "expected an escape"},
		"half an escape":     {`"\u00`, 1, "expected an escape"},
		"backslash":          {`"\`, 1, "unexpected end"},
		"duplicate":          {`{"a":1,"b":2,"a":3}`, 13, `duplicate key "a"`},
		"duplicate escaped":  {`{"a":1,"\u0061":3}`, 7, `duplicate key "a"`},
		"duplicate of many":  {`{` + many(40) + `,"k39":1}`, 321, `duplicate key "k39"`},
		"duplicate of 17":    {`{` + many(17) + `,"k00":1}`, 137, `duplicate key "k00"`},
		"duplicate, deeper":  {`{"a":{"a":1,"b":[{"a":2}],"b":0}}`, 26, `duplicate key "b"`},
		"deep":               {strings.Repeat("[", 257), 256, "deeper than 256"},
		"deep object":        {strings.Repeat(`{"a":`, 257), 5 * 256, "deeper than 256"},
		"deep and left out":  {`{"metadata":{"managedFields":` + strings.Repeat("[", 257), 29 + 254, "deeper than 256"},
		"left out":           {`{"metadata":{"managedFields":[{"a":x}]}}`, 35, `unexpected "x"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := engine.ParseJSON([]byte(test.text))
			var syntax *engine.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != test.offset || !strings.Contains(syntax.Reason, test.reason) || d.Exists() {
				t.Errorf("got %v, want offset %d: …%s…", err, test.offset, test.reason)
			}
		})
	}
}

func TestParseJSONLeavesOutWhatNobodyJudges(t *testing.T) {
	const annotation = `"kubectl.kubernetes.io/last-applied-configuration":"{}"`
	tests := map[string]struct{ text, want string }{
		"managedFields":   {`{"metadata":{"managedFields":[{"f:a":{}}],"name":"a"}}`, `{"metadata":{"name":"a"}}`},
		"last":            {`{"metadata":{"name":"a","managedFields":[{"f":{"g":[1,2]}}]},"spec":[[1],{}]}`, `{"metadata":{"name":"a"},"spec":[[1],{}]}`},
		"last applied":    {`{"metadata":{"annotations":{` + annotation + `,"b":"c"}}}`, `{"metadata":{"annotations":{"b":"c"}}}`},
		"only that":       {`{"metadata":{"annotations":{` + annotation + `}}}`, `{"metadata":{"annotations":{}}}`},
		"written oddly":   {`{"metadata":{"managed\u0046ields":[]}}`, `{"metadata":{}}`},
		"keys repeat":     {`{"metadata":{"managedFields":{"a":1,"a":2}}}`, `{"metadata":{}}`},
		"in a template":   {`{"spec":{"template":{"metadata":{"managedFields":1}}}}`, `{"spec":{"template":{"metadata":{}}}}`},
		"elsewhere":       {`{"managedFields":1,"annotations":{` + annotation + `}}`, `{"annotations":{` + annotation + `},"managedFields":1}`},
		"deeper":          {`{"metadata":{"labels":{"managedFields":1}}}`, `{"metadata":{"labels":{"managedFields":1}}}`},
		"in a list":       {`{"metadata":[{"managedFields":1}]}`, `{"metadata":[{"managedFields":1}]}`},
		"no such in spec": {`{"spec":{"annotations":{` + annotation + `}}}`, `{"spec":{"annotations":{` + annotation + `}}}`},
		"scalars":         {` [true , false,null,-0.5e+1,"",{}, [ ] ] `, `[true,false,null,-0.5e+1,"",{},[]]`},
		"bad UTF-8":       {"[\"\xff\xc3\\n\xff\",\"\\ud83d\\ude00\\ud800\"]", "[\"\ufffd\ufffd\\n\ufffd\",\"😀\ufffd\"]"},
		"deepest":         {strings.Repeat("[", 256) + strings.Repeat("]", 256), strings.Repeat("[", 256) + strings.Repeat("]", 256)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := engine.ParseJSON([]byte(test.text))
			if err != nil || d.String() != test.want {
				t.Errorf("got %v %v, want %s", d, err, test.want)
			}
			if again := checkTrimmed(t, []byte(test.text)); again.String() != test.want {
				t.Errorf("what is kept reads %v, want %s", again, test.want)
			}
		})
	}
}

func TestParseTrimmedKeepsNothingOfWhatIsLeftOut(t *testing.T) {
	const text = `{"metadata":{"managedFields": [{"a":[1,2]}] ,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","b":"managedFields"}},"spec":{"managedFields":[1]}}`
	const want = `{"metadata":{"managedFields":0 ,"annotations":{"kubectl.kubernetes.io/last-applied-configuration":0,"b":"managedFields"}},"spec":{"managedFields":[1]}}`
	if _, trimmed, err := engine.ParseTrimmed([]byte(text)); err != nil || string(trimmed) != want || cap(trimmed) != len(trimmed) {
		t.Errorf("got %s (%d bytes taken, %v), want %s", trimmed, cap(trimmed), err, want)
	}
}

// checkTrimmed reads what ParseTrimmed keeps of a text that ParseJSON reads.
func checkTrimmed(t *testing.T, data []byte) engine.Document {
	t.Helper()
	d, trimmed, err := engine.ParseTrimmed(bytes.Clone(data))
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	again, err := engine.ParseJSON(trimmed)
	if err != nil || !again.Equal(d) || len(trimmed) > len(data) {
		t.Fatalf("%q: read as %v, kept as %q, which is read as %v (%v)", data, d, trimmed, again, err)
	}
	return again
}

// FuzzParseJSON compares with encoding/json: what it accepts is accepted, with the same value, apart from
// the four differences that reference knows.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		"", " ", "{}", "[]", "null", "true", "tru", "0", "-0", "01", "1.5e-3", "1e99999", "1e9999", "-", `"a"`, `"\u00e4\ud83d\ude00\ud800"`,
		`"\ud800\u0041"`, "\"\xff\xc3\x28\"", "\"\\n\xff\"", `{"a":1,"a":2}`, `{"a":{"b":[1,{"c":null}]},"d":""}`, `[1,]`, `{"a":1,}`, `{,}`, "[\x00]",
		`{"metadata":{"managedFields":[{"a":1,"a":2}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"x","b":"c"}}}`,
		`{"metadata":{"managedFields":1,"managedFields":2},"managedFields":3}`, "{\"\xff\":1,\"\xfe\":2}",
		strings.Repeat("[", 256) + strings.Repeat("]", 256), strings.Repeat("[", 257) + strings.Repeat("]", 257),
		`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"k":0,"l":0,"m":0,"n":0,"o":0,"p":0,"q":0,"r":0,"a":0}`,
		`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":{"metadata":{"a":1,"a":1}}}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, reason := reference(data)
		d, err := engine.ParseJSON(bytes.Clone(data))
		if (err == nil) != (reason == nil) {
			t.Fatalf("%q: got %v, the reference says %v", data, err, reason)
		}
		if err != nil {
			var syntax *engine.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(data) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if again := checkTrimmed(t, data); !again.Equal(d) {
			t.Fatalf("%q: what is kept reads %v, want %v", data, again, d)
		}
		written, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(written))
		decoder.UseNumber()
		var got any
		if err := decoder.Decode(&got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v (%v), want %v", data, got, err, want)
		}
	})
}

// reference is encoding/json with the documented differences: keys that repeat, nesting below 256 levels
// numbers of more than 400 digits and exponents of more than 4 are refused, two things in metadata are left out.
func reference(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, errors.New("encoding/json refuses it")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return referenceValue(decoder, nil, false)
}

func referenceValue(decoder *json.Decoder, path []string, leftOut bool) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		if len(token.String()) > 400 {
			return nil, errors.New("digits")
		}
		if i := strings.IndexAny(token.String(), "eE"); i >= 0 && len(strings.TrimLeft(token.String()[i+1:], "+-")) > 4 {
			return nil, errors.New("exponent")
		}
	case json.Delim:
		if len(path) == 256 {
			return nil, errors.New("depth")
		}
		if token == '[' {
			return referenceArray(decoder, path, leftOut)
		}
		return referenceObject(decoder, path, leftOut)
	}
	return token, nil
}

func referenceArray(decoder *json.Decoder, path []string, leftOut bool) (any, error) {
	out := []any{}
	for decoder.More() {
		element, err := referenceValue(decoder, append(path, "[]"), leftOut)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	_, err := decoder.Token()
	return out, err
}

func referenceObject(decoder *json.Decoder, path []string, leftOut bool) (any, error) {
	in := func(i int) string { return append([]string{"", ""}, path...)[len(path)+2-i] }
	out := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string)
		skipped := leftOut || in(1) == "metadata" && key == "managedFields" ||
			in(2) == "metadata" && in(1) == "annotations" && key == "kubectl.kubernetes.io/last-applied-configuration"
		if _, repeated := out[key]; repeated {
			return nil, errors.New("duplicate key")
		}
		value, err := referenceValue(decoder, append(path, key), skipped)
		if err != nil {
			return nil, err
		}
		if !skipped {
			out[key] = value
		}
	}
	_, err := decoder.Token()
	return out, err
}
