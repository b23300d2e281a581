package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// CertificateValid holds while the certificate that get returns may be served: it is there, has begun
// and has not ended. For files, get is CertificateFiles.
func CertificateValid(get func() (*tls.Certificate, error), now func() time.Time) healthz.Checker {
	return func(*http.Request) error {
		certificate, err := get()
		switch {
		case err != nil:
			return fmt.Errorf("serving certificate: %w", err)
		case certificate == nil || len(certificate.Certificate) == 0:
			return errors.New("there is no serving certificate yet")
		}
		leaf := certificate.Leaf
		if leaf == nil {
			if leaf, err = x509.ParseCertificate(certificate.Certificate[0]); err != nil {
				return fmt.Errorf("serving certificate: %w", err)
			}
		}
		switch at := now(); {
		case at.Before(leaf.NotBefore):
			return fmt.Errorf("the serving certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
		case !at.Before(leaf.NotAfter):
			return fmt.Errorf("the serving certificate expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return nil
	}
}

// CertificateFiles reads a certificate and its key anew at each call.
func CertificateFiles(certFile, keyFile string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &certificate, err
	}
}

// SyncedUntil holds once synced does, or when the time has come. What isn't synced by then fails the
// policies that need it, not the replica.
func SyncedUntil(synced func() bool, giveUp time.Time, now func() time.Time) healthz.Checker {
	return func(*http.Request) error {
		if synced() || !now().Before(giveUp) {
			return nil
		}
		return fmt.Errorf("caches are not synced; policies that need them fail alone from %s on", giveUp.UTC().Format(time.RFC3339))
	}
}
