package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

const servedName = "sluice-webhook.sluice-system.svc"

func TestRotatorBegins(t *testing.T) {
	g := NewWithT(t)
	c := newRotated(t)
	g.Expect(c.ensure(time.Now())).To(Succeed())
	g.Expect(c.verify(time.Now())).To(Succeed())
	g.Expect(c.bundles()).To(HaveLen(3))
	for _, bundle := range c.bundles() {
		g.Expect(bundle).To(Equal(c.secret().Data["ca.crt"]), "every entry trusts what signed the certificate")
	}
	hooks, err := c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), "sluice", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(hooks.Webhooks[0].Rules).To(HaveLen(1), "the rules are somebody else's")
	g.Expect(hooks.Webhooks[0].ClientConfig.Service.Name).To(Equal("sluice-webhook"))
	_, err = os.Stat(filepath.Join(c.dir, "ca.key"))
	g.Expect(os.IsNotExist(err)).To(BeTrue(), "the authority's key stays in the Secret")
}

func TestRotatorLeavesWhatIsNotDue(t *testing.T) {
	g := NewWithT(t)
	c := newRotated(t)
	start := time.Now()
	g.Expect(c.ensure(start)).To(Succeed())
	before, actions := c.secret(), len(c.client.Actions())
	g.Expect(c.ensure(start.Add(59 * 24 * time.Hour))).To(Succeed())
	g.Expect(c.secret().Data).To(Equal(before.Data))
	for _, action := range c.client.Actions()[actions:] {
		g.Expect(action.GetVerb()).To(Equal("get"))
	}
}

func TestRotatorRenewsTheCertificate(t *testing.T) {
	g := NewWithT(t)
	c := newRotated(t)
	start := time.Now()
	g.Expect(c.ensure(start)).To(Succeed())
	before := c.secret()
	later := start.Add(61 * 24 * time.Hour)
	g.Expect(c.ensure(later)).To(Succeed())
	g.Expect(c.secret().Data["tls.crt"]).NotTo(Equal(before.Data["tls.crt"]))
	g.Expect(c.secret().Data["ca.crt"]).To(Equal(before.Data["ca.crt"]), "nobody has to trust anything new")
	g.Expect(c.verify(later)).To(Succeed())
}

// An authority that makes room for another is trusted until it ends, and the other signs only what is due.
func TestRotatorRenewsTheAuthority(t *testing.T) {
	g := NewWithT(t)
	c := newRotated(t)
	start := time.Now()
	g.Expect(c.ensure(start)).To(Succeed())
	nearEnd := start.Add(authorityLife - authorityDue - time.Hour)
	g.Expect(c.ensure(nearEnd)).To(Succeed())
	before := c.secret()
	due := nearEnd.Add(2 * time.Hour)
	g.Expect(c.ensure(due)).To(Succeed())
	after := c.secret()
	g.Expect(blocks(after.Data["ca.crt"])).To(HaveLen(2))
	g.Expect(bytes.HasSuffix(after.Data["ca.crt"], before.Data["ca.crt"])).To(BeTrue(), "the new one is first, the old one stays")
	g.Expect(after.Data["tls.crt"]).To(Equal(before.Data["tls.crt"]), "what is served is still the old one's")
	g.Expect(c.verify(due)).To(Succeed())

	renewed := due.Add(62 * 24 * time.Hour)
	g.Expect(c.ensure(renewed)).To(Succeed())
	g.Expect(c.secret().Data["tls.crt"]).NotTo(Equal(after.Data["tls.crt"]))
	g.Expect(c.verify(renewed)).To(Succeed())
	first := pem.EncodeToMemory(blocks(c.secret().Data["ca.crt"])[0])
	g.Expect(verify(first, c.secret().Data["tls.crt"], renewed)).To(Succeed(), "the new one signed")

	ended := start.Add(authorityLife + 24*time.Hour)
	g.Expect(c.ensure(ended)).To(Succeed())
	g.Expect(blocks(c.secret().Data["ca.crt"])).To(HaveLen(2), "what has ended stays until the bundle changes")
}

// A disk that is full keeps what is served, as a pair, whichever of the files has no room.
func TestRotatorOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	for _, file := range []string{CertFile, KeyFile} {
		t.Run(file, func(t *testing.T) {
			g := NewWithT(t)
			c := newRotated(t)
			start := time.Now()
			g.Expect(c.ensure(start)).To(Succeed())
			serving := NewServing(c.dir)
			before, err := serving.Certificate(nil)
			g.Expect(err).NotTo(HaveOccurred())
			due := start.Add(61 * 24 * time.Hour)
			for range 5 { // files are written in no particular order
				g.Expect(os.Symlink("/dev/full", filepath.Join(c.dir, file+".new"))).To(Succeed())
				g.Expect(c.ensure(due)).To(MatchError(syscall.ENOSPC))
				g.Expect(filepath.Glob(filepath.Join(c.dir, "*.new"))).To(BeEmpty(), "nothing is left that takes room")
				onDisk, err := tls.LoadX509KeyPair(filepath.Join(c.dir, CertFile), filepath.Join(c.dir, KeyFile))
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(onDisk.Certificate).To(Equal(before.Certificate))
			}
			g.Expect(serving.Certificate(nil)).To(Equal(before))
			g.Expect(c.ensure(due)).To(Succeed(), "there is room again")
			g.Expect(c.verify(due)).To(Succeed())
		})
	}
}

func TestRotatorMendsWhatIsBroken(t *testing.T) {
	for name, spoil := range map[string]func(*rotated){
		"no data":             func(c *rotated) { c.put(nil) },
		"no bundle":           func(c *rotated) { c.put(without(c.secret().Data, "ca.crt")) },
		"key of another":      func(c *rotated) { c.put(with(c.secret().Data, "tls.key", c.secret().Data["ca.key"])) },
		"not PEM":             func(c *rotated) { c.put(with(c.secret().Data, "tls.crt", []byte("x"))) },
		"caBundle taken away": func(c *rotated) { c.distrust() },
		"files gone":          func(c *rotated) { _ = os.Remove(filepath.Join(c.dir, CertFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := newRotated(t)
			g.Expect(c.ensure(time.Now())).To(Succeed())
			spoil(c)
			g.Expect(c.ensure(time.Now())).To(Succeed())
			g.Expect(c.verify(time.Now())).To(Succeed())
		})
	}
}

func TestRotatorNeedsTheSecret(t *testing.T) {
	g := NewWithT(t)
	c := newRotated(t)
	g.Expect(c.client.CoreV1().Secrets("sluice-system").Delete(t.Context(), "sluice-webhook-cert", metav1.DeleteOptions{})).To(Succeed())
	g.Expect(c.ensure(time.Now())).To(MatchError(`certificate in Secret sluice-system/sluice-webhook-cert: secrets "sluice-webhook-cert" not found`))
	_, err := NewRotator(RotatorOptions{Client: c.client, Log: logr.Discard()})
	g.Expect(err).To(HaveOccurred())
}

// rotated is a cluster with an empty Secret and both webhook configurations, and a folder.
type rotated struct {
	t      *testing.T
	client *fake.Clientset
	dir    string
}

func newRotated(t *testing.T) *rotated {
	meta := metav1.ObjectMeta{Name: "sluice"}
	config := admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "sluice-system", Name: "sluice-webhook"}}
	return &rotated{t: t, dir: t.TempDir(), client: fake.NewClientset(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: "sluice-webhook-cert"}},
		&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{
			{Name: "validate.sluice.dev", ClientConfig: config, Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{"CREATE"}}}},
			{Name: "guard.sluice.dev", ClientConfig: config},
		}},
		&admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{{Name: "mutate.sluice.dev", ClientConfig: config}}},
	)}
}

func (c *rotated) ensure(at time.Time) error {
	rotator, err := NewRotator(RotatorOptions{
		Client: c.client, Namespace: "sluice-system", Secret: "sluice-webhook-cert", Service: "sluice-webhook", Configuration: "sluice",
		Dir: c.dir, Log: logr.Discard(), Now: func() time.Time { return at },
	})
	if err != nil {
		return err
	}
	return rotator.Ensure(c.t.Context())
}

func (c *rotated) secret() *corev1.Secret {
	secret, err := c.client.CoreV1().Secrets("sluice-system").Get(c.t.Context(), "sluice-webhook-cert", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return secret
}

func (c *rotated) put(data map[string][]byte) {
	secret := c.secret()
	secret.Data = data
	if _, err := c.client.CoreV1().Secrets("sluice-system").Update(c.t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rotated) distrust() {
	hooks := c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	all, err := hooks.Get(c.t.Context(), "sluice", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	all.Webhooks[1].ClientConfig.CABundle = nil
	if _, err := hooks.Update(c.t.Context(), all, metav1.UpdateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rotated) bundles() (all [][]byte) {
	validating, err := c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(c.t.Context(), "sluice", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	mutating, err := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(c.t.Context(), "sluice", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, hook := range validating.Webhooks {
		all = append(all, hook.ClientConfig.CABundle)
	}
	for _, hook := range mutating.Webhooks {
		all = append(all, hook.ClientConfig.CABundle)
	}
	return all
}

// verify does what the API server does, for every entry, with the file that is served.
func (c *rotated) verify(at time.Time) error {
	served, err := os.ReadFile(filepath.Join(c.dir, CertFile))
	if err != nil {
		return err
	}
	for _, bundle := range c.bundles() {
		if err := verify(bundle, served, at); err != nil {
			return err
		}
	}
	return nil
}

func verify(bundle, served []byte, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	block, _ := pem.Decode(served)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: servedName, CurrentTime: at})
	return err
}

func with(data map[string][]byte, key string, value []byte) map[string][]byte {
	data[key] = value
	return data
}

func without(data map[string][]byte, key string) map[string][]byte {
	delete(data, key)
	return data
}
