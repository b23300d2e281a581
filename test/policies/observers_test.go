package policies_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sluice-gate/sluice/test/installed"
)

// review is one that no policy of this suite judges.
const review = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"observed","kind":{"group":"","version":"v1","kind":"Secret"},` +
	`"namespace":"shop","name":"web","operation":"CREATE","userInfo":{"username":"jane"},"object":{"apiVersion":"v1","kind":"Secret","data":{"k":"c2VjcmV0"}}}}`

// The process is asked without the API server, which does not trust its certificate.
var _ = It("is observed as its flags say, and not ready with a certificate that the API server refuses", func(ctx SpecContext) {
	var batches atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			batches.Add(1)
		}
	}))
	defer collector.Close()
	dir := GinkgoT().TempDir()
	binary, err := installed.Build(ctx, dir)
	Expect(err).NotTo(HaveOccurred())
	kubeconfig, err := installed.ServiceAccountConfig(ctx, cluster, dir)
	Expect(err).NotTo(HaveOccurred())
	_, err = installed.IssueCertificate(dir)
	Expect(err).NotTo(HaveOccurred())
	decisions := filepath.Join(dir, "decisions")
	ports, err := installed.FreePorts(1)
	Expect(err).NotTo(HaveOccurred())
	profiles := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	process, err := installed.StartProcess(installed.ProcessOptions{Binary: binary, Kubeconfig: kubeconfig, CertDir: dir, Args: []string{
		"--decision-log", decisions, "--decision-log-objects", "--tracing-endpoint", collector.URL, "--pprof-bind-address", profiles}})
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(process.Kill()).To(Succeed()) }()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	get := func(url string) string {
		response, err := client.Get(url)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.Status + " " + string(body)
	}
	Eventually(func() string {
		response, err := client.Post("https://"+process.Address+"/validate?timeout=10s", "application/json", strings.NewReader(review))
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return string(body)
	}).Should(ContainSubstring(`"allowed":true`))
	Expect(get("http://" + process.Probe + "/readyz?verbose")).To(And(HavePrefix("500"), ContainSubstring("[-]certificate failed"), ContainSubstring("[+]policies ok")))
	Expect(get("http://" + profiles + "/debug/pprof/heap?debug=1")).To(HavePrefix("200 OK heap profile"))
	Expect(get("http://" + process.Metrics + "/metrics")).To(And(ContainSubstring("\nsluice_certificate_valid 0\n"), ContainSubstring("\nsluice_decision_log_dropped_total{reason=\"write_failed\"} 0\n")))

	Expect(process.Signal(syscall.SIGTERM)).To(Succeed())
	Eventually(process.Done()).Should(BeClosed())
	lines, err := os.ReadFile(decisions)
	Expect(err).NotTo(HaveOccurred())
	Expect(bytes.Count(lines, []byte("\n"))).To(Equal(1))
	Expect(string(lines)).To(And(ContainSubstring(`"uid":"observed","user":"jane"`), ContainSubstring(`"data":{"k":"[masked]"}`)))
	Expect(batches.Load()).To(BeNumerically(">", 0), "spans are sent before the process ends")
})
