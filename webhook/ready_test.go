package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCertificateValid(t *testing.T) {
	from := time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC)
	certificate := certificateFor(t, from, from.Add(time.Hour))
	tests := map[string]struct {
		certificate *tls.Certificate
		err         error
		at          time.Time
		says        string
	}{
		"valid":      {certificate: certificate, at: from},
		"last":       {certificate: certificate, at: from.Add(time.Hour - time.Second)},
		"early":      {certificate: certificate, at: from.Add(-time.Second), says: "not valid before 2026-08-01T10:00:00Z"},
		"expired":    {certificate: certificate, at: from.Add(time.Hour), says: "expired at 2026-08-01T11:00:00Z"},
		"none":       {at: from, says: "no serving certificate"},
		"empty":      {certificate: &tls.Certificate{}, at: from, says: "no serving certificate"},
		"garbage":    {certificate: &tls.Certificate{Certificate: [][]byte{{1}}}, at: from, says: "x509"},
		"unreadable": {err: errors.New("no file"), at: from, says: "no file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			check := CertificateValid(func() (*tls.Certificate, error) { return test.certificate, test.err }, func() time.Time { return test.at })
			says(t, check(nil), test.says)
		})
	}
}

func TestCertificateFiles(t *testing.T) {
	from := time.Now().Add(-time.Minute)
	certificate := certificateFor(t, from, from.Add(time.Hour))
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	check := CertificateValid(CertificateFiles(certFile, keyFile), time.Now)
	says(t, check(nil), "no such file")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says(t, check(nil), "")
}

func TestSyncedUntil(t *testing.T) {
	now, synced := time.Unix(1000, 0), false
	check := SyncedUntil(func() bool { return synced }, time.Unix(1060, 0), func() time.Time { return now })
	says(t, check(nil), "not synced")
	synced = true
	says(t, check(nil), "")
	synced, now = false, time.Unix(1060, 0)
	says(t, check(nil), "")
}

func TestReadyOncePoliciesAreCompiled(t *testing.T) {
	var current Current
	says(t, current.Ready(nil), "no policies have been compiled yet")
	current.Set(allowing, nil)
	says(t, current.Ready(nil), "")
}

// says holds err to say the text, or to be nil if there is none.
func says(t *testing.T, err error, text string) {
	t.Helper()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}
