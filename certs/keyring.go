package certs

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
)

// The keys of the authority beside CertFile and KeyFile in a Secret, as cert-controller names them.
const (
	authorityFile    = "ca.crt"
	authorityKeyFile = "ca.key"
)

// An authority and a certificate are renewed when that much of their life is left. A certificate lives shorter than what is
// left of an authority that may sign it.
const (
	authorityLife  = 10 * 365 * 24 * time.Hour
	authorityDue   = 365 * 24 * time.Hour
	servingLife    = 90 * 24 * time.Hour
	servingDue     = 30 * 24 * time.Hour
	clockTolerance = time.Hour
)

const authorityName = "sluice-ca"

// keyring is a serving certificate and the authorities that may have signed it, in PEM; the first of the bundle signs the next.
//
// It is made and judged by cert-controller's functions. Its controller is not used: that one reads every Secret of the
// namespace and every webhook configuration of the cluster, and takes an authority away in the moment in which it makes another.
type keyring struct {
	bundle, authorityKey []byte
	cert, key            []byte
}

// renew replaces what is due at a time, and names it.
func (k *keyring) renew(dnsName string, at time.Time) (changes []string, err error) {
	maker := &rotator.CertRotator{
		CAName: authorityName, CAOrganization: "sluice", DNSName: dnsName, ExtraDNSNames: []string{dnsName + ".cluster.local"},
		ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	valid, err := rotator.ValidCert(k.bundle, k.bundle, k.authorityKey, authorityName, nil, at.Add(authorityDue))
	if err != nil || !valid {
		made, err := maker.CreateCACert(at.Add(-clockTolerance), at.Add(authorityLife))
		if err != nil {
			return nil, fmt.Errorf("create authority: %w", err)
		}
		k.bundle, k.authorityKey = append(made.CertPEM, stillTrusted(k.bundle, at)...), made.KeyPEM
		changes = append(changes, "authority")
	}
	if k.serves(dnsName, at.Add(servingDue)) {
		return changes, nil
	}
	signer, err := k.signer()
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	if k.cert, k.key, err = maker.CreateCertPEM(signer, at.Add(-clockTolerance), at.Add(servingLife)); err != nil {
		return nil, fmt.Errorf("create certificate: %w", err)
	}
	return append(changes, "certificate"), nil
}

// serves holds if one of the authorities signed the certificate, and it is valid then.
func (k *keyring) serves(dnsName string, at time.Time) bool {
	for _, authority := range blocks(k.bundle) {
		valid, err := rotator.ValidCert(pem.EncodeToMemory(authority), k.cert, k.key, dnsName, &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, at)
		if err == nil && valid {
			return true
		}
	}
	return false
}

// signer is the first authority with its key.
func (k *keyring) signer() (*rotator.KeyPairArtifacts, error) {
	pair, err := tls.X509KeyPair(k.bundle, k.authorityKey)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not RSA")
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	return &rotator.KeyPairArtifacts{Cert: cert, Key: key, CertPEM: k.bundle, KeyPEM: k.authorityKey}, nil
}

// data is the content of a Secret with the keyring in it; what else it holds stays.
func (k *keyring) data(before map[string][]byte) map[string][]byte {
	data := maps.Clone(before)
	if data == nil {
		data = map[string][]byte{}
	}
	data[authorityFile], data[authorityKeyFile], data[CertFile], data[KeyFile] = k.bundle, k.authorityKey, k.cert, k.key
	return data
}

// stillTrusted are the certificates of a bundle that have not ended.
func stillTrusted(bundle []byte, at time.Time) []byte {
	var kept []byte
	for _, b := range blocks(bundle) {
		if authority, err := x509.ParseCertificate(b.Bytes); err == nil && authority.IsCA && at.Before(authority.NotAfter) {
			kept = append(kept, pem.EncodeToMemory(b)...)
		}
	}
	return kept
}

func blocks(bundle []byte) []*pem.Block {
	var all []*pem.Block
	for b, rest := pem.Decode(bundle); b != nil; b, rest = pem.Decode(rest) {
		all = append(all, b)
	}
	return all
}
