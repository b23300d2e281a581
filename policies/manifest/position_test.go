package manifest

import (
	"fmt"
	"strings"
	"testing"
)

const positions = `# comment
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: é
  annotations: &a
    nginx.ingress.kubernetes.io/ssl-redirect: "false"
    "quoted/key": x
spec:
  rules:
  - host: a.example.com
    http:
      paths:
        - path: /
        -
          path: /b
  - {host: b.example.com, http: {paths: [{path: /c}, {path: /d}]}}
  extra: *a
  merged:
    <<: [*a]
    own: 1
`

func TestPosition(t *testing.T) {
	cases := map[string]string{
		"":                     "2:1",
		"metadata":             "4:1",
		"metadata.name":        "5:3",
		"metadata.annotations": "6:3",
		"metadata.annotations[nginx.ingress.kubernetes.io/ssl-redirect]":   "7:5",
		`metadata.annotations["nginx.ingress.kubernetes.io/ssl-redirect"]`: "7:5",
		"metadata.annotations.nginx.ingress.kubernetes.io/ssl-redirect":    "7:5",
		"metadata.annotations['quoted/key']":                               "8:5",
		"metadata.annotations[missing/key]":                                "6:3",
		"spec.rules[0]":                                                    "11:5",
		"spec.rules[0].host":                                               "11:5",
		"spec.rules[0].http.paths[0]":                                      "14:11",
		"spec.rules[0].http.paths[1]":                                      "16:11",
		"spec.rules[0].http.paths[1].path":                                 "16:11",
		"spec.rules[1].http.paths[1].path":                                 "17:55",
		"spec.rules[1].http.paths[2].path":                                 "17:34",
		"spec.rules[9].host":                                               "10:3",
		"spec.tls[0].hosts":                                                "9:1",
		"spec.extra[quoted/key]":                                           "8:5",
		"spec.merged[quoted/key]":                                          "8:5",
		"spec.merged.own":                                                  "21:5",
		"nothing":                                                          "2:1",
		"[[[":                                                              "2:1",
		"spec..rules[-1][":                                                 "10:3",
		"spec.rules[99999999999999999999]":                                 "10:3",
		"metadata.name[0]":                                                 "5:3",
	}
	for _, prefix := range []int{0, 3} {
		text := strings.Repeat("---\n# empty\n", prefix) + positions
		object := Read("f.yaml", []byte(text)).Objects[0]
		for path, want := range cases {
			line, column := object.Position(path)
			if got := fmt.Sprintf("%d:%d", line-2*prefix, column); got != want {
				t.Errorf("%q after %d documents: %s, want %s", path, prefix, got, want)
			}
		}
	}
}

func TestPositionInLists(t *testing.T) {
	const text = "kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec:\n    containers:\n    - ports:\n      - containerPort: 1\n"
	object := Read("f.yaml", []byte(text)).Objects[0]
	if line, column := object.Position("spec.containers[0].ports[0].containerPort"); line != 10 || column != 9 {
		t.Error(line, column)
	}
}

func TestPositionInJSON(t *testing.T) {
	const text = "{\"items\": [\n\t{\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t \"metadata\": {\"name\": \"é\", \"labels\": {\"a/b\": \"c\"}}}],\n \"kind\": \"List\", \"apiVersion\": \"v1\"}\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\n\"metadata\":{\"name\":\"b\"}}"
	file := Read("f.json", []byte(text))
	wantStrings(t, problemStrings(file.Problems))
	for i, want := range map[int]string{0: "3:40", 1: "6:1"} {
		line, column := file.Objects[i].Position("metadata.labels[a/b]")
		if got := fmt.Sprintf("%d:%d", line, column); got != want {
			t.Errorf("object %d: %s, want %s", i, got, want)
		}
	}
}

func TestPositionOfZeroObject(t *testing.T) {
	if line, column := new(Object).Position("spec"); line != 1 || column != 1 {
		t.Error(line, column)
	}
}

func TestDocuments(t *testing.T) {
	const text = "id: x\nobject:\n  apiVersion: v1\n  kind: Service\n  metadata: {name: a}\nstate:\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: b}\n  - 1\nother: {a: b}\n"
	docs, problems := Documents("c.yaml", []byte(text))
	wantStrings(t, problemStrings(problems))
	object, problems := docs[0].Object("object")
	wantStrings(t, problemStrings(problems))
	if line, _ := object.Position("metadata.name"); line != 5 || object.Name != "a" {
		t.Error(line, object.Name)
	}
	second, problems := docs[0].Object("state[0]")
	wantStrings(t, problemStrings(problems))
	if second.Name != "b" || second.Line != 7 || second.Column != 5 {
		t.Errorf("%+v", second)
	}
	for path, want := range map[string]string{
		"oldObject": "c.yaml:1:1: oldObject is missing; expected an object",
		"state[1]":  "c.yaml:10:5: state[1] is a single value; expected an object",
		"state[2]":  "c.yaml:6:1: state[2] is missing; expected an object",
		"other":     "c.yaml:11:8: apiVersion is missing; every Kubernetes object states apiVersion and kind\nc.yaml:11:8: kind is missing; every Kubernetes object states apiVersion and kind",
	} {
		_, problems := docs[0].Object(path)
		wantStrings(t, problemStrings(problems), want)
	}
	if line, column := docs[0].Position("other.a"); line != 11 || column != 9 {
		t.Error(line, column)
	}
}
