package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Hook is a webhook that the API server calls at the Service whose certificate is checked.
type Hook struct {
	Name     string
	CABundle []byte // PEM; empty until somebody has injected one
}

// Check judges the certificate that is served as the API server would.
type Check struct {
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Name        string // the API server's for the Service: <service>.<namespace>.svc
	// Hooks are those of the webhook configurations that exist. It does not block for long.
	Hooks func() ([]Hook, error)
	Now   func() time.Time
}

// Ready is a healthz.Checker: the certificate is there, has begun, has not ended, bears the Service's name, and is signed by an
// authority in the caBundle of each webhook that has one. A caBundle that is empty, or a webhook configuration that does not
// exist, holds nothing up: whoever injects the bundle may wait for Sluice, and until then the API server either refuses what
// Sluice serves or asks nobody. The metrics show it.
func (c Check) Ready(*http.Request) error {
	leaf, others, err := c.served()
	if err != nil {
		return err
	}
	if err := c.usable(leaf); err != nil {
		return err
	}
	hooks, err := c.Hooks()
	if err != nil {
		return fmt.Errorf("read the webhook configurations: %w", err)
	}
	for _, hook := range hooks {
		if err := c.trusted(leaf, others, hook); err != nil {
			return err
		}
	}
	return nil
}

// served is the certificate in use and those that came with it.
func (c Check) served() (leaf *x509.Certificate, others *x509.CertPool, err error) {
	certificate, err := c.Certificate(nil)
	switch {
	case err != nil:
		return nil, nil, err
	case certificate == nil || len(certificate.Certificate) == 0:
		return nil, nil, errors.New("there is no serving certificate yet")
	}
	others = x509.NewCertPool()
	for i, der := range certificate.Certificate {
		parsed, err := x509.ParseCertificate(der)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("read the serving certificate: %w", err)
		case i == 0:
			leaf = parsed
		default:
			others.AddCert(parsed)
		}
	}
	return leaf, others, nil
}

// usable is why no client could accept the certificate, whomever it trusts.
func (c Check) usable(leaf *x509.Certificate) error {
	switch at := c.Now(); {
	case at.Before(leaf.NotBefore):
		return fmt.Errorf("the serving certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case at.After(leaf.NotAfter):
		return fmt.Errorf("the serving certificate expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := leaf.VerifyHostname(c.Name); err != nil {
		return fmt.Errorf("the serving certificate has the wrong name: %w", err)
	}
	return nil
}

// trusted is why the API server would not accept the certificate when it calls a webhook.
func (c Check) trusted(leaf *x509.Certificate, others *x509.CertPool, hook Hook) error {
	if len(hook.CABundle) == 0 {
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(hook.CABundle) {
		return fmt.Errorf("the caBundle of webhook %s holds no certificate", hook.Name)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: c.Now()}); err != nil {
		return fmt.Errorf("the API server does not accept the serving certificate: the caBundle of webhook %s: %w", hook.Name, err)
	}
	return nil
}
