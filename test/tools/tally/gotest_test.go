package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReader(t *testing.T) {
	tests := []struct {
		name, events, output string
		want                 count
	}{
		{name: "a parent is not counted beside its subtests", want: count{passed: 2},
			events: `{"Action":"run","Package":"p","Test":"A"}
				{"Action":"run","Package":"p","Test":"A/x"}
				{"Action":"run","Package":"p","Test":"A/y"}
				{"Action":"output","Package":"p","Test":"A/x","Output":"chatter\n"}
				{"Action":"pass","Package":"p","Test":"A/x"}
				{"Action":"pass","Package":"p","Test":"A/y"}
				{"Action":"pass","Package":"p","Test":"A"}
				{"Action":"output","Package":"p","Output":"PASS\n"}
				{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
				{"Action":"pass","Package":"p"}`,
			output: "ok  \tp\t0.1s\n"},
		{name: "a failure counts once and is shown", want: count{failed: 1},
			events: `{"Action":"run","Package":"p","Test":"A"}
				{"Action":"run","Package":"p","Test":"A/x/deep"}
				{"Action":"output","Package":"p","Test":"A/x/deep","Output":"got 1\n"}
				{"Action":"fail","Package":"p","Test":"A/x/deep"}
				{"Action":"fail","Package":"p","Test":"A/x"}
				{"Action":"fail","Package":"p","Test":"A"}
				{"Action":"fail","Package":"p"}`,
			output: "got 1\n"},
		{name: "a parent that fails by itself counts", want: count{passed: 1, failed: 1},
			events: `{"Action":"run","Package":"p","Test":"A"}
				{"Action":"run","Package":"p","Test":"A/x"}
				{"Action":"pass","Package":"p","Test":"A/x"}
				{"Action":"fail","Package":"p","Test":"A"}
				{"Action":"fail","Package":"p"}`},
		{name: "a package that does not build counts", want: count{failed: 1},
			events: `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: syntax error\n"}
				{"Action":"build-fail","ImportPath":"p"}
				{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
				{"Action":"fail","Package":"p"}`,
			output: "x.go:1: syntax error\nFAIL\tp [build failed]\n"},
		{name: "a skipped test is named with its reason", want: count{},
			events: `{"Action":"run","Package":"p","Test":"A"}
				{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
				{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:7: no assets\n"}
				{"Action":"output","Package":"p","Test":"A","Output":"--- SKIP: A (0.00s)\n"}
				{"Action":"skip","Package":"p","Test":"A"}
				{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
				{"Action":"skip","Package":"q"}`,
			output: "skip\tp a_test.go:7: no assets A (0.00s)\n"},
		{name: "two packages with a test of one name", want: count{passed: 1, failed: 1},
			events: `{"Action":"run","Package":"p","Test":"A"}
				{"Action":"run","Package":"q","Test":"A"}
				{"Action":"fail","Package":"p","Test":"A"}
				{"Action":"fail","Package":"p"}
				{"Action":"pass","Package":"q","Test":"A"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReader(&out)
			if err := r.read(strings.NewReader(test.events)); err != nil {
				t.Fatal(err)
			}
			if r.total != test.want || out.String() != test.output {
				t.Errorf("got %v and\n%s\nwant %v and\n%s", r.total, out.String(), test.want, test.output)
			}
		})
	}
}

func TestReaderRefusesOtherText(t *testing.T) {
	if err := newReader(&bytes.Buffer{}).read(strings.NewReader("panic: no JSON\n")); err == nil {
		t.Error("no error")
	}
}

func TestAddUp(t *testing.T) {
	const text = "7 passed, 0 failed\nabout 5 passed, 1 failed\n  2 passed, 2 failed\n10 passed, 3 failed\nlast"
	var out bytes.Buffer
	if sum := addUp(strings.NewReader(text), &out); sum != (count{passed: 17, failed: 3}) || out.String() != text {
		t.Errorf("got %v and %q", sum, out.String())
	}
}
