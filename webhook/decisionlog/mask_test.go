package decisionlog

import (
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/policies/engine"
)

func TestMasks(t *testing.T) {
	ingress := `{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"annotations":{"a.b/auth-url":"S","a.b/other":"s","x/auth-url":"s"}},` +
		`"spec":{"n":12345678901234567890,"tls":[{"hosts":["s"],"secretName":"S"},{"secretName":"S"}]}}`
	pod := `{"kind":"Deployment","spec":{"template":{"metadata":{"annotations":{"a.b/auth-url":"S"}}}}}`
	tests := map[string]struct {
		masks  []string
		object string
		hidden []string // in the order in which they are replaced; "" means that everything stays
	}{
		"nothing":                      {nil, ingress, nil},
		"a pointer with any item":      {[]string{"/spec/tls/*/secretName"}, ingress, []string{`"secretName":"S"`, `"secretName":"S"`}},
		"a pointer with one item":      {[]string{"/spec/tls/1/secretName"}, `{"spec":{"tls":[{"secretName":"s"},{"secretName":"S"}]}}`, []string{`"secretName":"S"`}},
		"a whole object":               {[]string{"/spec"}, `{"spec":"S"}`, []string{`"spec":"S"`}},
		"a pointer to nothing":         {[]string{"/spec/tls/secretName", "/spec/tls/7", "/a/b"}, ingress, nil},
		"a key with a slash":           {[]string{"/metadata/annotations/a.b~1auth-url"}, ingress, []string{`"a.b/auth-url":"S"`}},
		"an annotation":                {[]string{"a.b/auth-*"}, ingress, []string{`"a.b/auth-url":"S"`}},
		"an annotation in a template":  {[]string{"a.b/auth-url"}, pod, []string{`"a.b/auth-url":"S"`}},
		"not a part of an annotation":  {[]string{"b/auth-url", "a.b/auth", "axb/auth-url"}, ingress, nil},
		"a Secret":                     {nil, `{"apiVersion":"v1","data":{"k":"S"},"kind":"Secret","stringData":{"k":"S"},"type":"s"}`, []string{`"k":"S"`, `"k":"S"`}},
		"no Secret":                    {nil, `{"apiVersion":"v1","data":{"k":"s"},"kind":"ConfigMap"}`, nil},
		"another Secret":               {nil, `{"apiVersion":"example.com/v1","data":{"k":"s"},"kind":"Secret"}`, nil},
		"an annotation that is a list": {[]string{"a"}, `{"metadata":{"annotations":["a"]}}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			masks, err := ParseMasks(test.masks)
			if err != nil {
				t.Fatal(err)
			}
			got, err := masks.apply(document(t, test.object))
			if err != nil {
				t.Fatal(err)
			}
			want := test.object
			for _, hidden := range test.hidden {
				want = strings.Replace(want, hidden, strings.Replace(hidden, `"S"`, `"[masked]"`, 1), 1)
			}
			if string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestWhatIsMaskedIsNotInMessages(t *testing.T) {
	masks, err := ParseMasks([]string{"/spec/tls/*/secretName", "a.b/auth-*"})
	if err != nil {
		t.Fatal(err)
	}
	out := &output{room: -1}
	l := logTo(t, Options{Masks: masks}, out)
	for field, hidden := range map[string]bool{
		"spec.tls[0].secretName": true, "spec.tls[0].secretName.x": true, "spec.tls[0].hosts": false, "spec.tls": false, "": false,
		"metadata.annotations[a.b/auth-url]": true, `metadata.annotations["a.b/auth-url"]`: true, "metadata.annotations[a.b/x]": false,
		"metadata.labels[a.b/auth-url]": false, "spec.template.metadata.annotations[a.b/auth-url]": true,
	} {
		out.mu.Lock()
		out.data.Reset()
		out.mu.Unlock()
		l.Add(Entry{Findings: []Finding{{Policy: "p", Message: "value", Field: field}}}, engine.Document{})
		await(t, func() bool { out.mu.Lock(); defer out.mu.Unlock(); return out.data.Len() > 0 })
		if got := out.data.String(); strings.Contains(got, `"message":"value"`) == hidden || strings.Contains(got, masked) != hidden {
			t.Errorf("%s: %s", field, got)
		}
	}
}

func TestObjectsAreLoggedIfAskedFor(t *testing.T) {
	secret := document(t, `{"apiVersion":"v1","kind":"Secret","data":{"k":"c2VjcmV0"}}`)
	for objects, want := range map[bool]string{true: `"object":{"apiVersion":"v1","data":{"k":"[masked]"},"kind":"Secret"}`, false: ""} {
		out := &output{room: -1}
		l := logTo(t, Options{Objects: objects}, out)
		l.Add(Entry{}, secret)
		l.Add(Entry{}, engine.Document{})
		finish(t, l.Log)
		got := out.data.String()
		if strings.Contains(got, "c2VjcmV0") || strings.Count(got, `"object"`) != strings.Count(want, `"object"`) || !strings.Contains(got, want) {
			t.Errorf("objects %v: %s", objects, got)
		}
	}
}

func TestParseMasksRefuses(t *testing.T) {
	for _, text := range []string{"", "/", "/a/~2", "/a~", "a b", "-a", "spec.tls[0]", "a/b/"} {
		if _, err := ParseMasks([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
