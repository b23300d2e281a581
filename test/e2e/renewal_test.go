package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
)

// served is the certificate that a replica shows, in DER.
func served(ctx context.Context, p *pod) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// What is asked is which certificate it is, not whether it is trusted.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: installed.Service + "." + installed.Namespace + ".svc"}}
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	defer func(c net.Conn) { c.Close() }(conn)
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw, nil
}

// awaitServed returns once every replica shows the certificate that is in the Secret.
func awaitServed(ctx context.Context) {
	GinkgoHelper()
	data, err := secret(ctx, servingSecret)
	Expect(err).NotTo(HaveOccurred())
	block, _ := pem.Decode(data["tls.crt"])
	Expect(block).NotTo(BeNil())
	for _, p := range replicas.running() {
		Eventually(func(g Gomega) {
			shown, err := served(ctx, p)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(bytes.Equal(shown, block.Bytes)).To(BeTrue(), "the new certificate is not served")
		}, patience, poll).WithContext(ctx).Should(Succeed())
	}
}

func renewUnderLoad(ctx context.Context) {
	const renewals = 20
	ca, err := secret(ctx, servingSecret)
	Expect(err).NotTo(HaveOccurred())
	l := startLoad(ctx)
	var took []time.Duration
	for range renewals {
		started := time.Now()
		Expect(renew(ctx, serving)).To(Succeed())
		awaitServed(ctx)
		took = append(took, time.Since(started))
	}
	l.stopUnharmed(ctx, fmt.Sprintf("the certificate is renewed %d times", renewals))
	Expect(l.rate).To(BeNumerically(">", loadRate/4), "or it is no load, even on a machine that others use")
	slices.Sort(took)
	AddReportEntry("from `cmctl renew` until both replicas serve the new certificate",
		fmt.Sprintf("p50 %s, max %s", quantile(took, 0.5), quantile(took, 1)))
	after, err := secret(ctx, servingSecret)
	Expect(err).NotTo(HaveOccurred())
	Expect(after["ca.crt"]).To(Equal(ca["ca.crt"]), "a renewal leaves the CA as it is")
}

// rotateUnderLoad renews the CA and then, as cert-manager does not do by itself, what it signed. cert-manager leaves the old CA in
// the caBundle beside the new one. All depends on which comes first: the new CA in the API server, or the new certificate in the
// replicas. Most kubelets are slow enough.
func rotateUnderLoad(ctx context.Context) {
	for _, lag := range []time.Duration{0, 2 * time.Second} {
		replicas.certs.lag.Store(int64(lag))
		before, err := secret(ctx, servingSecret)
		Expect(err).NotTo(HaveOccurred())
		l := startLoad(ctx)
		Expect(renew(ctx, authority)).To(Succeed())
		next, err := secret(ctx, authority)
		Expect(err).NotTo(HaveOccurred())
		Expect(next["tls.crt"]).NotTo(Equal(before["ca.crt"]))
		Expect(renew(ctx, serving)).To(Succeed())
		awaitBundle(ctx, before["ca.crt"], next["tls.crt"])
		awaitServed(ctx)
		expectVerdicts(ctx, patience)
		during := fmt.Sprintf("the CA is replaced, with a kubelet that takes %s to mount it", lag)
		if lag == 0 {
			l.stop(ctx, during)
		} else {
			l.stopUnharmed(ctx, during)
		}
	}
	replicas.certs.lag.Store(0)
}

// awaitBundle returns once every hook trusts these authorities.
func awaitBundle(ctx context.Context, authorities ...[]byte) {
	GinkgoHelper()
	for _, hooks := range []string{"validatingwebhookconfiguration", "mutatingwebhookconfiguration"} {
		Eventually(func(g Gomega) {
			bundles := kubectl(ctx, "get", hooks, "sluice", "-o", `jsonpath={range .webhooks[*]}{.clientConfig.caBundle}{"\n"}{end}`)
			for line := range strings.Lines(bundles) {
				bundle, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
				g.Expect(err).NotTo(HaveOccurred())
				for _, authority := range authorities {
					g.Expect(string(bundle)).To(ContainSubstring(strings.TrimSpace(string(authority))))
				}
			}
		}, patience, poll).WithContext(ctx).Should(Succeed())
	}
}

// awaitTrust returns once every hook trusts who signed the certificate that is served now.
func awaitTrust(ctx context.Context) {
	GinkgoHelper()
	data, err := secret(ctx, servingSecret)
	Expect(err).NotTo(HaveOccurred())
	awaitBundle(ctx, data["ca.crt"])
}
