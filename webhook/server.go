package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// The paths that the webhook configurations name.
const (
	ValidatePath = "/validate"
	MutatePath   = "/mutate"
	GuardPath    = "/guard"
	HoldPath     = "/hold"
)

// ServerOptions say where and how to serve.
type ServerOptions struct {
	Host string // "" is all addresses
	Port int    // 0 is 9443
	// Certificate returns the serving certificate for a handshake. Without it tls.crt and tls.key of CertDir
	// are served, and read again when they change.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	CertDir     string
	// ClientCA is the name of a file in CertDir: only clients with a certificate of it are served. "" asks
	// for none.
	ClientCA string
	// MinTLSVersion is a constant of crypto/tls; 0 is TLS 1.2, and nothing older is accepted.
	MinTLSVersion uint16
	CipherSuites  []uint16 // of TLS 1.2; nil is Go's choice
	Drain         *Drain   // may be nil
}

// NewServer serves the handlers over HTTP/2 and HTTP/1.1. The server runs under a manager (manager.Add) or
// alone (Start), stops when its context ends and then finishes what it has begun. Further webhooks can be
// registered on it.
func NewServer(o ServerOptions, handlers *Handlers) (webhook.Server, error) {
	if o.MinTLSVersion == 0 {
		o.MinTLSVersion = tls.VersionTLS12
	}
	switch {
	case handlers == nil || handlers.Validate == nil || handlers.Mutate == nil || handlers.Guard == nil || handlers.Hold == nil:
		return nil, errors.New("new webhook server: no handlers")
	case o.Certificate == nil && o.CertDir == "":
		return nil, errors.New("new webhook server: neither Certificate nor CertDir is given")
	case o.MinTLSVersion != tls.VersionTLS12 && o.MinTLSVersion != tls.VersionTLS13:
		return nil, fmt.Errorf("new webhook server: minimum TLS version %s: want 1.2 or 1.3", tls.VersionName(o.MinTLSVersion))
	}
	// The mux is filled here rather than by Server.Register, which would measure everything a second time.
	if o.Drain == nil {
		o.Drain = &Drain{}
	}
	mux := http.NewServeMux()
	mux.Handle(ValidatePath, o.Drain.wrap(handlers.Validate))
	mux.Handle(MutatePath, o.Drain.wrap(handlers.Mutate))
	mux.Handle(GuardPath, o.Drain.wrap(handlers.Guard))
	mux.Handle(HoldPath, o.Drain.wrap(handlers.Hold))
	server := webhook.NewServer(webhook.Options{
		Host: o.Host, Port: o.Port, CertDir: o.CertDir, ClientCAName: o.ClientCA, WebhookMux: mux,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.NextProtos = []string{"h2", "http/1.1"}
			c.MinVersion, c.CipherSuites, c.GetCertificate = o.MinTLSVersion, o.CipherSuites, o.Certificate
		}},
	})
	return drained{server, o.Drain}, nil
}
