package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-gate/sluice/policies"
)

// certificateFor is a self-signed certificate for localhost.
func certificateFor(t testing.TB, from, until time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// start serves until the test ends, and returns the server's URL and a client's settings.
func start(t testing.TB, handlers *Handlers, o ServerOptions) (string, *tls.Config) {
	t.Helper()
	certificate := certificateFor(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	o.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port = "localhost", listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	server, err := NewServer(o, handlers)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	for i := 0; server.StartedChecker()(nil) != nil; i++ {
		if i == 200 {
			t.Fatal("the server does not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
	roots := x509.NewCertPool()
	leaf, _ := x509.ParseCertificate(certificate.Certificate[0])
	roots.AddCert(leaf)
	return fmt.Sprintf("https://localhost:%d", o.Port), &tls.Config{RootCAs: roots}
}

func TestServerSpeaksHTTP2AndHTTP1(t *testing.T) {
	handlers, _ := handlersOf(t, newGate(t, "ingress-tls-required"), nil)
	url, config := start(t, handlers, ServerOptions{})
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: http2}
		client := &http.Client{Transport: transport}
		for _, path := range []string{ValidatePath, MutatePath, "/other"} {
			response, err := client.Post(url+path+"?timeout=10s", "application/json", strings.NewReader(shopReview))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			want := map[string]int{ValidatePath: 200, MutatePath: 200, "/other": 404}[path]
			if response.StatusCode != want || (response.ProtoMajor == 2) != http2 {
				t.Errorf("%s: %s %d %s", path, response.Proto, response.StatusCode, body)
			}
			if want == 200 {
				if review := decodeStrictly(t, body); review.Response.Allowed != (path == MutatePath) {
					t.Errorf("%s: %s", path, body)
				}
			}
		}
		transport.CloseIdleConnections()
	}
}

func TestServerRefusesOldTLS(t *testing.T) {
	handlers, _ := handlersOf(t, allowing, nil)
	for minimum, refused := range map[uint16]uint16{0: tls.VersionTLS11, tls.VersionTLS13: tls.VersionTLS12} {
		url, config := start(t, handlers, ServerOptions{MinTLSVersion: minimum})
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, refused
		if _, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), config); err == nil {
			t.Errorf("minimum %x: %s is served", minimum, tls.VersionName(refused))
		}
		config.MaxVersion = 0
		if _, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), config); err != nil {
			t.Error(err)
		}
	}
}

// A body that trickles in is given up when the review's time is over, over both protocols.
func TestSlowBodyIsGivenUp(t *testing.T) {
	handlers, registry := handlersOf(t, allowing, nil)
	url, config := start(t, handlers, ServerOptions{})
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: http2}
		slow, never := io.Pipe()
		request, _ := http.NewRequest("POST", url+"/validate?timeout=1s", io.MultiReader(strings.NewReader(shopReview[:100]), slow))
		request.ContentLength = int64(len(shopReview))
		request.Header.Set("Content-Type", "application/json")
		started := time.Now()
		response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(request)
		if took := time.Since(started); took < 500*time.Millisecond || took > 10*time.Second {
			t.Errorf("HTTP/2 %v: took %v", http2, took)
		}
		if err == nil && response.StatusCode != 408 {
			t.Errorf("HTTP/2 %v: got %s", http2, response.Status)
		}
		never.CloseWithError(errors.New("the test is over"))
		transport.CloseIdleConnections()
	}
	if got := sum(t, registry, "sluice_reviews_rejected_total", "reason", "slow_body"); got != 2 {
		t.Errorf("%v slow bodies", got)
	}
}

// lateEnd is a body whose last bytes are there, but only read once the review's time is over.
type lateEnd struct {
	io.ReadCloser
	time time.Duration
}

func (l *lateEnd) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err == io.EOF {
		time.Sleep(l.time) // nobody tells when the time of a review is over
	}
	return n, err
}

// A review whose body ends in the moment in which its time is over must not take the time of those that come after it on the
// same connection.
func TestLateBodyHarmsNoOther(t *testing.T) {
	given := fake(func(ctx context.Context, _ policies.Request) policies.Decision {
		if err := ctx.Err(); err != nil {
			return policies.Decision{Failure: err.Error()}
		}
		return policies.Decision{Judged: true}
	})
	handlers, _ := handlersOf(t, given, nil)
	var late atomic.Bool
	judging := handlers.Validate
	handlers.Validate = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if late.Load() {
			r.Body = &lateEnd{r.Body, 300 * time.Millisecond}
		}
		judging.ServeHTTP(w, r)
	})
	url, config := start(t, handlers, ServerOptions{})
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: http2}
		client := &http.Client{Transport: transport}
		for _, length := range []int{len(shopFixed), firstRead + 1, firstRead + 1, len(shopFixed)} {
			for _, isLate := range []bool{true, false} {
				late.Store(isLate)
				body := shopFixed + strings.Repeat(" ", length-len(shopFixed))
				response, err := client.Post(url+"/validate?timeout=200ms", "application/json", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				answer, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if allowed := strings.Contains(string(answer), `"allowed":true`); !isLate && !allowed {
					t.Errorf("HTTP/2 %v, %d bytes: after a late one %s %s", http2, length, response.Status, answer)
				}
			}
		}
		transport.CloseIdleConnections()
	}
}

func TestNewServerRefusesHalfOptions(t *testing.T) {
	handlers, _ := handlersOf(t, allowing, nil)
	if _, err := NewServer(ServerOptions{CertDir: "x"}, handlers); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]ServerOptions{"no certificate": {}, "TLS 1.1": {CertDir: "x", MinTLSVersion: tls.VersionTLS11}} {
		if _, err := NewServer(o, handlers); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewServer(ServerOptions{CertDir: "x"}, &Handlers{}); err == nil {
		t.Error("no handlers: no error")
	}
}
