package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sluice-gate/sluice/policies"
)

var allowing = deciding(policies.Decision{Judged: true})

func TestNoReviewIsJudgedUnread(t *testing.T) {
	without := func(text string) string { return strings.Replace(shopReview, text, "", 1) }
	tests := map[string]struct {
		method, contentType, body string
		code                      int
		says                      string
	}{
		"GET":              {method: "GET", code: 405, says: "is POSTed"},
		"no content type":  {contentType: "-", body: shopReview, code: 415, says: "application/json"},
		"yaml":             {contentType: "application/yaml", body: shopReview, code: 415, says: `"application/yaml"`},
		"charset":          {contentType: "application/json; charset=utf-8", body: shopReview, code: 200},
		"too large":        {body: strings.Repeat(" ", maxBody+1), code: 413, says: "7 MiB"},
		"empty":            {code: 400, says: "offset 0: unexpected end"},
		"truncated":        {body: shopReview[:len(shopReview)-1], code: 400, says: "expected ','"},
		"trailing":         {body: shopReview + "{}", code: 400, says: "after the end"},
		"duplicate key":    {body: strings.Replace(shopReview, `"spec":`, `"spec":{},"spec":`, 1), code: 400, says: `duplicate key "spec"`},
		"deep":             {body: strings.Repeat("[", 5<<20), code: 400, says: "nested deeper"},
		"array":            {body: "[]", code: 400, says: "expected AdmissionReview"},
		"v1beta1":          {body: strings.Replace(shopReview, "k8s.io/v1\"", "k8s.io/v1beta1\"", 1), code: 400, says: "v1beta1"},
		"other kind":       {body: strings.Replace(shopReview, "AdmissionReview", "TokenReview", 1), code: 400, says: "TokenReview"},
		"no request":       {body: `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, code: 400, says: "no request"},
		"null request":     {body: `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}`, code: 400, says: "no request"},
		"response instead": {body: strings.Replace(shopReview, `"request":`, `"response":`, 1), code: 400, says: "no request"},
		"no uid":           {body: without(`"uid":"` + shopUID + `",`), code: 400, says: "request.uid is missing"},
		"no kind":          {body: strings.Replace(shopReview, `"kind":"Ingress"}`, `"kind":""}`, 1), code: 400, says: shopUID},
		"CONNECT":          {body: strings.Replace(shopReview, "CREATE", "CONNECT", 1), code: 400, says: `"CONNECT"`},
		"no object":        {body: strings.Replace(shopReview, `"object":{`, `"other":{`, 1), code: 400, says: shopUID},
		"no old object":    {body: strings.Replace(shopReview, "CREATE", "UPDATE", 1), code: 400, says: "request.oldObject is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			called := false
			handlers, registry := handlersOf(t, fake(func(context.Context, policies.Request) policies.Decision {
				called = true
				return policies.Decision{Judged: true}
			}), nil)
			r := httptest.NewRequest(cmpOr(test.method, "POST"), "/validate", strings.NewReader(test.body))
			if test.contentType != "-" {
				r.Header.Set("Content-Type", cmpOr(test.contentType, "application/json"))
			}
			for _, handler := range []http.Handler{handlers.Validate, handlers.Mutate} {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r.Clone(t.Context()))
				r.Body = io.NopCloser(strings.NewReader(test.body))
				if w.Code != test.code || !strings.Contains(w.Body.String(), test.says) {
					t.Errorf("got %d %s, want %d %q", w.Code, w.Body, test.code, test.says)
				}
			}
			if called != (test.code == 200) {
				t.Errorf("the gate was asked: %v", called)
			}
			if rejected := sum(t, registry, "sluice_reviews_rejected_total"); (rejected == 2) != (test.code != 200) {
				t.Errorf("%v rejected", rejected)
			}
		})
	}
}

// With failurePolicy Ignore the API server lets pass what gets an HTTP error, so that an object need only be large.
func TestReviewTooLargeToJudgeIsDenied(t *testing.T) {
	many := strings.Replace(shopReview, `"object":{`, `"object":{"items":[`+strings.Repeat("0,", 100_000)+`0],`, 1)
	handlers, registry := handlersOf(t, fake(func(context.Context, policies.Request) policies.Decision {
		t.Error("the gate was asked")
		return policies.Decision{Judged: true}
	}), nil)
	for _, handler := range []http.Handler{handlers.Validate, handlers.Mutate} {
		r := httptest.NewRequest("POST", "/validate", strings.NewReader(many))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("got %d %.300s", w.Code, w.Body)
		}
		response := decodeStrictly(t, w.Body.Bytes()).Response
		if response.Allowed || string(response.UID) != shopUID || !strings.Contains(response.Result.Message, "more than 100000 values: too large to judge") {
			t.Errorf("%+v", response)
		}
	}
	if n := sum(t, registry, "sluice_reviews_total"); n != 2 {
		t.Errorf("%v reviews counted", n)
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Without Content-Length, and with a wrong one.
func TestBodyOfAnotherLength(t *testing.T) {
	handlers, _ := handlersOf(t, allowing, nil)
	long := strings.Replace(shopReview, `"8m"`, `"`+strings.Repeat("8", 2*firstRead)+`"`, 1)
	tests := map[string]struct {
		body   io.Reader
		length int64
		code   int
	}{
		"chunked":           {strings.NewReader(shopReview), -1, 200},
		"long":              {strings.NewReader(long), int64(len(long)), 200},
		"chunked too large": {strings.NewReader(strings.Repeat(" ", maxBody+1)), -1, 413},
		"too short":         {strings.NewReader(shopReview), int64(len(shopReview)) + 1, 400},
		"long too short":    {strings.NewReader(long), int64(len(long)) + 1, 400},
		"lies":              {strings.NewReader(shopReview), maxBody + 1, 413},
		"breaks":            {io.MultiReader(strings.NewReader(shopReview[:9]), iotest.ErrReader(errors.New("reset"))), 900, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", test.body)
			r.ContentLength = test.length
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handlers.Validate.ServeHTTP(w, r)
			if w.Code != test.code {
				t.Errorf("got %d %.200s, want %d", w.Code, w.Body, test.code)
			}
		})
	}
}

func TestWithoutPoliciesThereIsNoVerdict(t *testing.T) {
	handlers, _ := handlersOf(t, nil, nil)
	if w := post(handlers.Validate, shopReview); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestHandlersAskTheirMethod(t *testing.T) {
	gate := newGate(t, "ingress-tls-required")
	handlers, _ := handlersOf(t, gate, nil)
	if response := answered(t, post(handlers.Validate, shopReview)); response.Allowed {
		t.Error("validate allows what ingress-tls-required denies")
	}
	if response := answered(t, post(handlers.Validate, shopFixed)); !response.Allowed || response.Result != nil {
		t.Errorf("validate denies a good Ingress: %v", response.Result)
	}
	if response := answered(t, post(handlers.Mutate, shopReview)); !response.Allowed || response.PatchType != nil {
		t.Errorf("mutate denies or patches without a patch policy: %v", response)
	}
}

func TestZeroDecisionDenies(t *testing.T) {
	handlers, registry := handlersOf(t, deciding(policies.Decision{}), nil)
	response := answered(t, post(handlers.Validate, shopReview))
	if response.Allowed || response.Result.Code != 500 || !strings.Contains(response.Result.Message, "no decision") {
		t.Errorf("got %v", response)
	}
	if sum(t, registry, "sluice_reviews_total", "decision", "error") != 1 {
		t.Error("not counted as an error")
	}
}

func TestPanicDenies(t *testing.T) {
	var lines bytes.Buffer
	handlers, _ := handlersOf(t, fake(func(context.Context, policies.Request) policies.Decision { panic("a bug") }),
		func(o *Options) { o.Log = logTo(&lines, 0) })
	for i, handler := range []http.Handler{handlers.Validate, handlers.Mutate, handlers.Validate, handlers.Mutate} {
		lines.Reset()
		response := answered(t, postBy(1+i/2, handler, shopReview))
		message := response.Result.Message
		if response.Allowed || response.Result.Code != 500 || response.Result.Reason != "InternalError" ||
			!strings.Contains(message, "internal error") || !strings.Contains(message, shopUID) || strings.Contains(message, "a bug") {
			t.Errorf("got %v", response)
		}
		for _, want := range []string{"panic: a bug", `"requestID"="` + shopUID, "TestPanicDenies"} {
			if !strings.Contains(lines.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, lines.String())
			}
		}
	}
}

func TestReviewHasTheCallersDeadline(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"timeout=10s": 9 * time.Second, "": 9 * time.Second, "timeout=2s": 1800 * time.Millisecond, "timeout=x": 9 * time.Second,
	} {
		var left time.Duration
		handlers, _ := handlersOf(t, fake(func(ctx context.Context, _ policies.Request) policies.Decision {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return policies.Decision{Judged: true}
		}), nil)
		r := httptest.NewRequest("POST", "/validate?"+query, strings.NewReader(shopReview))
		r.Header.Set("Content-Type", "application/json")
		handlers.Validate.ServeHTTP(httptest.NewRecorder(), r)
		if left > want || left < want-time.Second {
			t.Errorf("%q: %v left, want %v", query, left, want)
		}
	}
}

func TestNewHandlersRefusesHalfOptions(t *testing.T) {
	full := func() Options {
		var o Options
		handlersOf(t, allowing, func(p *Options) { o = *p })
		return o
	}
	for name, spoil := range map[string]func(*Options){
		"no current":        func(o *Options) { o.Current = nil },
		"no registerer":     func(o *Options) { o.Registerer = nil },
		"negative":          func(o *Options) { o.Concurrency = -1 },
		"negative waiting":  func(o *Options) { o.Waiting = -1 },
		"registered before": func(*Options) {},
	} {
		o := full()
		spoil(&o)
		if _, err := NewHandlers(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
