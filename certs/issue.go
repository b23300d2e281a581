// Package certs makes certificates for the webhook where no cert-manager does, and names the files in which
// they are served.
package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// The names of the files in a certificate folder, as in a Secret of type kubernetes.io/tls.
const (
	CertFile = "tls.crt"
	KeyFile  = "tls.key"
)

// Issued is a serving certificate with its key and the authority that signed it, in PEM.
type Issued struct {
	CA   []byte // what goes into caBundle
	Cert []byte
	Key  []byte
}

// Issue makes an authority and one serving certificate for the given DNS names. The authority's key is
// thrown away: a new certificate comes with a new authority.
func Issue(lifetime time.Duration, names ...string) (Issued, error) {
	if len(names) == 0 {
		return Issued{}, fmt.Errorf("issue certificate: no DNS name given")
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, fmt.Errorf("generate key: %w", err)
	}
	from := time.Now().Add(-time.Minute) // clocks differ
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), Subject: pkix.Name{CommonName: "sluice-ca"}, NotBefore: from, NotAfter: from.Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return Issued{}, fmt.Errorf("create authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issued{}, fmt.Errorf("generate key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano() + 1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: from, NotAfter: from.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return Issued{}, fmt.Errorf("create certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Issued{}, fmt.Errorf("encode key: %w", err)
	}
	return Issued{CA: block("CERTIFICATE", caDER), Cert: block("CERTIFICATE", leafDER), Key: block("PRIVATE KEY", keyDER)}, nil
}

func block(kind string, der []byte) []byte {
	var out bytes.Buffer
	_ = pem.Encode(&out, &pem.Block{Type: kind, Bytes: der}) // writing to a buffer can't fail
	return out.Bytes()
}

// WriteTo puts the certificate and its key into a folder: both are written before either takes its name, so that a full disk leaves
// the pair that is there. What does not get its name is removed.
func (i Issued) WriteTo(dir string) error {
	files := map[string][]byte{KeyFile: i.Key, CertFile: i.Cert}
	temporary := func(name string) string { return filepath.Join(dir, name+".new") }
	for name := range files {
		defer func() { _ = os.Remove(temporary(name)) }() // it is not there any more if all went well
	}
	for name, data := range files {
		if err := os.WriteFile(temporary(name), data, 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	for name := range files {
		if err := os.Rename(temporary(name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}
