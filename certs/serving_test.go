package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher/metrics"
)

// soon is less than the watcher's interval of 10 seconds: what happens within it was told by the file system.
const soon = 5 * time.Second

// mount puts a certificate into a folder as the kubelet does: the files are links through ..data, which is swapped at once,
// and what it pointed at is deleted.
func mount(t *testing.T, dir, version string, issued Issued) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "..data")
	before, _ := os.Readlink(data)
	must(os.Mkdir(filepath.Join(dir, version), 0o700))
	must(issued.WriteTo(filepath.Join(dir, version)))
	must(os.Symlink(version, data+"_tmp"))
	must(os.Rename(data+"_tmp", data))
	if before != "" {
		must(os.RemoveAll(filepath.Join(dir, before)))
		return
	}
	must(os.Symlink("..data/"+CertFile, filepath.Join(dir, CertFile)))
	must(os.Symlink("..data/"+KeyFile, filepath.Join(dir, KeyFile)))
}

func run(t *testing.T, serving *Serving) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- serving.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// awaitWatch returns when a file that is touched is read again.
func awaitWatch(t *testing.T, dir string) {
	t.Helper()
	before := count(t, metrics.ReadCertificateTotal)
	await(t, "the files are not watched", func() bool {
		if err := os.Chtimes(filepath.Join(dir, CertFile), time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		return count(t, metrics.ReadCertificateTotal) > before
	})
}

func count(t *testing.T, counter prometheus.Counter) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// await returns when done says so, which has to be soon.
func await(t *testing.T, otherwise string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// serverOf serves over TLS with what serving says, and returns the address.
func serverOf(t *testing.T, serving *Serving) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: serving.Certificate, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func clientOf(roots *x509.CertPool, http2 bool) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serviceName}, ForceAttemptHTTP2: http2}}
}

// get says with which certificate, by its serial number, and whether over a connection that was there.
func get(client *http.Client, address string) (serial string, reused bool, err error) {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address, nil)
	response, err := client.Do(request)
	if err != nil {
		return "", reused, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.TLS.PeerCertificates[0].SerialNumber.String(), reused, nil
}

func TestSwappedCertificateIsServedAndConnectionsStay(t *testing.T) {
	dir := t.TempDir()
	roots := x509.NewCertPool()
	first, certificate := issue(t, serviceName)
	roots.AppendCertsFromPEM(first.CA)
	mount(t, dir, "..0", first)
	serving := NewServing(dir)
	run(t, serving)
	address := serverOf(t, serving)
	kept := map[bool]*http.Client{true: clientOf(roots, true), false: clientOf(roots, false)}
	before := serialOf(t, certificate)
	for _, client := range kept {
		if serial, _, err := get(client, address); err != nil || serial != before {
			t.Fatal(serial, err)
		}
	}
	awaitWatch(t, dir)
	for version := 1; version <= 5; version++ {
		issued, certificate := issue(t, serviceName)
		roots = roots.Clone()
		roots.AppendCertsFromPEM(issued.CA)
		mount(t, dir, fmt.Sprintf("..%d", version), issued)
		want := serialOf(t, certificate)
		await(t, fmt.Sprintf("version %d is not served", version), func() bool {
			serial, _, err := get(clientOf(roots, true), address)
			if err != nil {
				t.Fatalf("a handshake failed while the files were swapped: %v", err)
			}
			return serial == want
		})
		for http2, client := range kept {
			if serial, reused, err := get(client, address); err != nil || !reused || serial != before {
				t.Errorf("HTTP/2 %v: the connection did not stay: %v %v %v", http2, serial, reused, err)
			}
		}
	}
}

func serialOf(t *testing.T, certificate *tls.Certificate) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.String()
}

func TestBadFilesLeaveTheCertificateInUse(t *testing.T) {
	issued, certificate := issue(t, serviceName)
	other, _ := issue(t, serviceName)
	for name, data := range map[string][]byte{"garbage": []byte("x"), "a certificate without its key": other.Cert} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := issued.WriteTo(dir); err != nil {
				t.Fatal(err)
			}
			serving := NewServing(dir)
			run(t, serving)
			awaitWatch(t, dir)
			before := count(t, metrics.ReadCertificateErrors)
			bad := filepath.Join(dir, "bad") // moved into place: no half of it is read
			if err := errors.Join(os.WriteFile(bad, data, 0o600), os.Rename(bad, filepath.Join(dir, CertFile))); err != nil {
				t.Fatal(err)
			}
			await(t, "it was not read", func() bool { return count(t, metrics.ReadCertificateErrors) > before })
			if got, err := serving.Certificate(nil); err != nil || serialOf(t, got) != serialOf(t, certificate) {
				t.Error("the certificate is not in use any more", err)
			}
		})
	}
}

func TestFilesThatComeLaterAreServed(t *testing.T) {
	dir := t.TempDir()
	serving := NewServing(dir)
	run(t, serving)
	if _, err := serving.Certificate(nil); err == nil {
		t.Error("a certificate from nowhere")
	}
	if _, err := net.Dial("tcp", serverOf(t, serving)); err != nil {
		t.Error(err)
	}
	issued, certificate := issue(t, serviceName)
	if err := issued.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	await(t, "not served", func() bool {
		got, err := serving.Certificate(nil)
		return err == nil && serialOf(t, got) == serialOf(t, certificate)
	})
}
