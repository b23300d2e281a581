package webhook

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// hostile is text out of what breaks encoders.
func hostile(random *rand.Rand) string {
	parts := []string{`"`, `\`, "\n", "\x00", "\x1f", "\x7f", "\x80", "\xff", "\xed\xa0\x80", "\xc3", "ä", "\u2028", "😀", "</script>", "a", "\t", "\ufffd", "\\u0000", "é"}
	out := ""
	for range random.IntN(8) {
		out += parts[random.IntN(len(parts))]
	}
	return out
}

// randomAnswer and the type that it has to be read back as.
func randomAnswer(random *rand.Rand) (answer, admissionv1.AdmissionResponse) {
	text := func() string { return hostile(random) }
	a := answer{allowed: random.IntN(2) == 0}
	want := admissionv1.AdmissionResponse{Allowed: a.allowed}
	if random.IntN(2) == 0 {
		s := &status{code: random.IntN(600), reason: text(), message: text(), name: text(), group: text(), kind: text()}
		details := &metav1.StatusDetails{Name: s.name, Group: s.group, Kind: s.kind}
		for range random.IntN(3) {
			c := cause{text(), text(), text()}
			s.causes = append(s.causes, c)
			details.Causes = append(details.Causes, metav1.StatusCause{Type: metav1.CauseType(c.reason), Message: c.message, Field: c.field})
		}
		a.status = s
		want.Result = &metav1.Status{Status: "Failure", Code: int32(s.code), Reason: metav1.StatusReason(s.reason), Message: s.message, Details: details}
	}
	if random.IntN(2) == 0 {
		a.patch = []byte(text() + "x")
		patchType := admissionv1.PatchTypeJSONPatch
		want.Patch, want.PatchType = a.patch, &patchType
	}
	for range random.IntN(3) {
		a.warnings = append(a.warnings, text())
		want.Warnings = a.warnings
	}
	for i := range random.IntN(3) {
		a.audit = append(a.audit, annotation{fmt.Sprint(text(), i), text()})
		if want.AuditAnnotations == nil {
			want.AuditAnnotations = map[string]string{}
		}
		want.AuditAnnotations[a.audit[i].key] = a.audit[i].value
	}
	return a, want
}

// What the encoder writes is read back as what encoding/json writes.
func TestEncoderAgreesWithEncodingJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		a, response := randomAnswer(random)
		uid := hostile(random)
		response.UID = types.UID(uid)
		review := admissionv1.AdmissionReview{Response: &response,
			TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}}
		reference, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		got := appendReview(nil, uid, a)
		if diff := cmp.Diff(decodeStrictly(t, reference), decodeStrictly(t, got)); diff != "" {
			t.Fatalf("%s\n(-encoding/json +appendReview):\n%s", got, diff)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a", "\"\\\n\x00\x1f", "\xff\xfe", "ä\u2028\xc3", "\xf0\x9f\x98"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		if err := json.Unmarshal(appendString(nil, text), &got); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(text)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
