package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

// parts are values of keys that reviews repeat: whole, broken, and beginning as others do.
var parts = []string{
	`{}`, `{ }`, `{"a":1}`, `{"a":1,"b":2}`, `{"a":{"b":[1,"x",{"c":null}]}}`, `{"a":1 }`, ` {"a":1}`, `"text"`, `1`, `12`, `null`, `[{"a":1}]`,
	`{"a":1`, `{"a":1}}`, `{"a":1,"a":2}`, `{"metadata":{"managedFields":[{"a":1,"a":2}],"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`,
	`{"a":"\u00e4\"}"}`, `{"a":"` + strings.Repeat("x", 2100) + `"}`, `{"username":"ada","groups":["dev","system:authenticated"]}`, `{"username":"ada","groups":["dev","system:authenticated"],"extra":{}}`,
}

// What is read by who has read other reviews before is what is read without, and fails as that does.
func TestReviewsAreReadAsOtherJSON(t *testing.T) {
	keys := []string{"kind", "resource", "requestKind", "requestResource", "userInfo", "options", "object", "uid"}
	read, failed := 0, 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(3, seed))
		reader := engine.NewReviewReader()
		for range 60 {
			var request []string
			for _, key := range keys {
				if part := parts[r.IntN(len(parts))]; r.IntN(4) > 0 && (strings.HasSuffix(part, "}") || r.IntN(4) == 0) {
					request = append(request, fmt.Sprintf("%q:%s", key, part))
				}
			}
			text := fmt.Sprintf(`{"kind":"AdmissionReview","request":{%s},"options":%s}`, strings.Join(request, ","), parts[r.IntN(12)])
			want, wanted := engine.ParseJSON([]byte(text))
			got, err := reader.Read([]byte(text))
			if fmt.Sprint(err) != fmt.Sprint(wanted) || !got.Equal(want) {
				t.Fatalf("seed %d: %s\ngot  %v, %v\nwant %v, %v", seed, text, got, err, want, wanted)
			}
			if err == nil {
				read++
			} else {
				failed++
			}
		}
	}
	if read < 1000 || failed < 1000 {
		t.Errorf("the generator says little: %d were read, %d not", read, failed)
	}
}

// What repeats counts each time: the bound of values is that of the whole review.
func TestRepetitionsCount(t *testing.T) {
	reader := engine.NewReviewReader()
	review := func(objects int) []byte {
		return []byte(`{"request":{"userInfo":{"groups":[1,2,3,4,5,6,7,8]},"object":[` + strings.Repeat("0,", objects-1) + `0]}}`)
	}
	const beside = 13 // the review, the request, userInfo and its groups, the object
	for _, c := range []struct {
		objects int
		tooMany bool
	}{{100_000 - beside, false}, {100_001 - beside, true}, {100_000 - beside, false}} {
		_, err := reader.Read(review(c.objects))
		_, plain := engine.ParseJSON(review(c.objects))
		if (err != nil) != c.tooMany || (plain != nil) != c.tooMany {
			t.Errorf("%d objects: %v, without a reader %v", c.objects, err, plain)
		}
	}
}
