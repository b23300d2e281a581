package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"testing"
	"time"
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
	time.Sleep(200 * time.Millisecond) // until the watch is set up
	for version := 1; version <= 5; version++ {
		issued, certificate := issue(t, serviceName)
		roots = roots.Clone()
		roots.AppendCertsFromPEM(issued.CA)
		mount(t, dir, fmt.Sprintf("..%d", version), issued)
		want := serialOf(t, certificate)
		for deadline := time.Now().Add(soon); ; time.Sleep(5 * time.Millisecond) {
			serial, _, err := get(clientOf(roots, true), address)
			if err != nil {
				t.Fatalf("a handshake failed while the files were swapped: %v", err)
			}
			if serial == want {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("version %d is not served", version)
			}
		}
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
	dir := t.TempDir()
	issued, certificate := issue(t, serviceName)
	other, _ := issue(t, serviceName)
	if err := issued.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	serving := NewServing(dir)
	run(t, serving)
	time.Sleep(200 * time.Millisecond)
	for name, data := range map[string][]byte{"garbage": []byte("x"), "a certificate without its key": other.Cert} {
		if err := os.WriteFile(filepath.Join(dir, CertFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if got, err := serving.Certificate(nil); err != nil || serialOf(t, got) != serialOf(t, certificate) {
			t.Errorf("%s: %v", name, err)
		}
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
	for deadline := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
		if got, err := serving.Certificate(nil); err == nil && serialOf(t, got) == serialOf(t, certificate) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not served")
		}
	}
}
