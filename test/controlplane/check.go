package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// checkTimeout bounds starting etcd and kube-apiserver once; they take under 10 s on two cores that are free.
const checkTimeout = 90 * time.Second

// check runs every wanted binary. With kube-apiserver and etcd among them it starts both on loopback and waits until
// the API server answers with the minor version of Kubernetes that is pinned.
func check(ctx context.Context, dir string, versions versions, wanted []component) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	has := map[string]bool{}
	for _, c := range wanted {
		has[c.name] = true
		args := []string{"--version"}
		if c.name == kubectl {
			args = []string{"version", "--client"}
		}
		if output, err := exec.CommandContext(ctx, filepath.Join(dir, c.name), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w: %s", c.name, strings.Join(args, " "), err, lastLines(string(output), 3))
		}
	}
	if !has[apiServer] || !has[etcd] {
		return nil
	}
	work, err := os.MkdirTemp("", "controlplane-check-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer os.RemoveAll(work)
	return checkServers(ctx, dir, work, versions.kubernetes)
}

func checkServers(ctx context.Context, dir, work, version string) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	clients := "http://127.0.0.1:" + ports[0]
	peers := "http://127.0.0.1:" + ports[1]
	store, err := start(filepath.Join(dir, etcd), "--data-dir", filepath.Join(work, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
		"--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	if err != nil {
		return err
	}
	defer store.stop()

	key := filepath.Join(work, "accounts.key")
	if err := writeKey(key); err != nil {
		return err
	}
	server, err := start(filepath.Join(dir, apiServer), "--etcd-servers", clients, "--cert-dir", work,
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", ports[2],
		"--endpoint-reconciler-type", "none", "--authorization-mode", "RBAC",
		"--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://127.0.0.1",
		"--service-account-key-file", key, "--service-account-signing-key-file", key)
	if err != nil {
		return err
	}
	alive, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-server.done
		cancel(errors.New("it stopped by itself"))
	}()
	served, err := servedVersion(alive, "https://127.0.0.1:"+ports[2])
	complaint := server.stop()
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w: %s", err, lastLines(complaint, 5))
	}
	if minor := version[:strings.LastIndex(version, ".")+1]; !strings.HasPrefix(served, minor) {
		return fmt.Errorf("kube-apiserver says it is %s, go.mod pins %s", served, version)
	}
	return nil
}

// servedVersion waits until the API server is ready and returns its gitVersion.
func servedVersion(ctx context.Context, server string) (string, error) {
	// The certificate was made by the server itself a moment ago, on loopback; there is nothing to check it against.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	retry := time.NewTicker(200 * time.Millisecond)
	defer retry.Stop()
	for {
		if _, err := get(ctx, client, server+"/readyz"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("not ready: %w", context.Cause(ctx))
		case <-retry.C:
		}
	}
	content, err := get(ctx, client, server+"/version")
	if err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	var answer struct{ GitVersion string }
	if err := json.Unmarshal(content, &answer); err != nil {
		return "", fmt.Errorf("read the version: %w", err)
	}
	return answer.GitVersion, nil
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, body.String())
	}
	return body.Bytes(), nil
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close() // all are held until the last is found, so that they differ
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// writeKey writes a new key that signs service account tokens.
func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	return nil
}
