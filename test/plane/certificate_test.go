package plane_test

import (
	"crypto/tls"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/util/cert"
)

// certificateFor returns a server's TLS configuration for one DNS name, and the PEM that clients have to trust.
func certificateFor(name string) (config *tls.Config, authority []byte) {
	certificate, key, err := cert.GenerateSelfSignedCertKey(name, nil, nil)
	Expect(err).NotTo(HaveOccurred())
	pair, err := tls.X509KeyPair(certificate, key)
	Expect(err).NotTo(HaveOccurred())
	return &tls.Config{Certificates: []tls.Certificate{pair}}, certificate
}
