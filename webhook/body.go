package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/engine"
)

// maxBody is the largest AdmissionReview: two objects of the API server's 3 MiB limit each and 1 MiB for
// the rest, as controller-runtime has it.
const maxBody = 7 << 20

// firstRead is what is allocated on the word of Content-Length alone. A longer body grows as it comes.
const firstRead = 64 << 10

// rejection is why a request is no review that can be judged.
type rejection struct {
	code   int    // of HTTP
	reason string // for metrics
	text   string // for people
}

func reject(code int, reason, format string, args ...any) *rejection {
	return &rejection{code, reason, fmt.Sprintf(format, args...)}
}

// checkHeader refuses what needs no reading to be refused.
func checkHeader(r *http.Request) *rejection {
	if r.Method != http.MethodPost {
		return reject(http.StatusMethodNotAllowed, "method", "method %.20s: an AdmissionReview is POSTed", r.Method)
	}
	if header := r.Header.Get("Content-Type"); header != "application/json" {
		if mediaType, _, err := mime.ParseMediaType(header); err != nil || mediaType != "application/json" {
			return reject(http.StatusUnsupportedMediaType, "content_type", "content type %.100q: expected application/json", header)
		}
	}
	if r.ContentLength > maxBody {
		return tooLarge()
	}
	return nil
}

func tooLarge() *rejection {
	return reject(http.StatusRequestEntityTooLarge, "too_large", "the AdmissionReview is larger than %d MiB", maxBody>>20)
}

// bodySize is what a body can take: all of the limit if nobody says how long it is.
func bodySize(r *http.Request) int64 {
	if r.ContentLength < 0 {
		return maxBody
	}
	return r.ContentLength
}

// readWithin is readBody that gives up a body that trickles in when the context ends. Setting a read
// deadline beforehand would do the same, but costs HTTP/2 a detour through the connection's own goroutine.
// Over HTTP/1.1 net/http reads on behind the body to learn whether the client goes: if it meets the deadline
// there, it takes the client for gone and ends the context of all that come later. Such a connection ends.
func readWithin(ctx context.Context, w http.ResponseWriter, r *http.Request) ([]byte, *rejection) {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // a writer of a test has none
	})
	body, rejected := readBody(r)
	if !stop() {
		<-interrupted // w must not be touched once the handler has returned
		if r.ProtoMajor < 2 {
			w.Header().Set("Connection", "close")
		}
	}
	return body, rejected
}

// readBody reads at most maxBody bytes. The result is never reused: documents refer to it.
func readBody(r *http.Request) ([]byte, *rejection) {
	size := r.ContentLength
	if size >= 0 && size <= firstRead {
		body := make([]byte, size)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, unreadable(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(body) > maxBody:
		return nil, tooLarge()
	case size >= 0 && int64(len(body)) != size:
		return nil, unreadable(io.ErrUnexpectedEOF)
	}
	return body, nil
}

func unreadable(err error) *rejection {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return reject(http.StatusRequestTimeout, "slow_body", "the body did not arrive in time")
	}
	return reject(http.StatusBadRequest, "malformed", "read the body: %v", err)
}

// outline is what a review that is too large to judge says of itself beside its objects.
type outline struct {
	Request struct {
		UID       string
		Kind      metav1.GroupVersionKind
		Namespace string
		Name      string
		Operation engine.Operation
		UserInfo  struct{ Username string }
	}
}

// outlined is the request of a review that is too large to judge. An HTTP error would be ignored where failurePolicy says
// so, and let pass whatever is made large enough: the review has to be answered.
func outlined(body []byte, err error) (policies.Request, bool) {
	var syntax *engine.SyntaxError
	var found outline
	if !errors.As(err, &syntax) || !syntax.TooLarge || json.Unmarshal(body, &found) != nil || found.Request.UID == "" {
		return policies.Request{}, false
	}
	r := found.Request
	return policies.Request{UID: r.UID, Kind: schema.GroupVersionKind(r.Kind), Namespace: r.Namespace, Name: r.Name,
		Operation: r.Operation, User: policies.User{Name: r.UserInfo.Username}}, true
}

// decode reads an AdmissionReview (admission.k8s.io/v1). The request refers to body. With a rejection the request is one
// that has to be answered nevertheless, if it has a UID.
func decode(reader *engine.ReviewReader, body []byte) (policies.Request, *rejection) {
	review, err := reader.Read(body)
	if request, is := outlined(body, err); is {
		return request, reject(http.StatusRequestEntityTooLarge, "too_large", "%v", err)
	}
	if err != nil {
		return policies.Request{}, reject(http.StatusBadRequest, "malformed", "the body is no AdmissionReview: %v", err)
	}
	kind, version := review.Get("kind").Text(), review.Get("apiVersion").Text()
	if kind != "AdmissionReview" || version != "admission.k8s.io/v1" {
		return policies.Request{}, reject(http.StatusBadRequest, "unsupported",
			"the body is %.100q of %.100q: expected AdmissionReview of admission.k8s.io/v1", kind, version)
	}
	request, err := policies.NewRequest(review.Get("request"))
	switch {
	case err != nil && request.UID != "":
		return policies.Request{}, reject(http.StatusBadRequest, "malformed", "review %.100q: %v", request.UID, err)
	case err != nil:
		return request, reject(http.StatusBadRequest, "malformed", "%v", err)
	case request.UID == "":
		return request, reject(http.StatusBadRequest, "malformed", "request.uid is missing")
	}
	return request, nil
}
