package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/cmd/serve"
	"github.com/sluice-gate/sluice/policies"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/state"
	"github.com/sluice-gate/sluice/webhook"
)

const (
	floorName  = "controller-runtime, allow all"
	sluiceName = "Sluice, restricted"
)

// serveReviews is what the child processes do.
func serveReviews(ctx context.Context, which, certDir string, port int) error {
	switch which {
	case "floor":
		server := ctrlwebhook.NewServer(ctrlwebhook.Options{Host: "127.0.0.1", Port: port, CertDir: certDir,
			TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }}})
		server.Register("/validate", &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response {
			return admission.Allowed("")
		})})
		return server.Start(ctx)
	case "sluice":
		return serveSluice(ctx, certDir, port)
	}
	return fmt.Errorf("unknown server %q", which)
}

func serveSluice(ctx context.Context, certDir string, port int) error {
	serve.TuneCollector()
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		return err
	}
	known := state.NewFiles()
	gate, err := policies.NewGate(policies.Options{Library: set.Library, Policies: set.Policies, State: known, Namespaces: known})
	if err != nil {
		return err
	}
	current := &webhook.Current{}
	current.Set(gate, gate.Kinds())
	handlers, err := webhook.NewHandlers(webhook.Options{Current: current, Registerer: prometheus.NewRegistry()})
	if err != nil {
		return err
	}
	server, err := webhook.NewServer(webhook.ServerOptions{Host: "127.0.0.1", Port: port, CertDir: certDir}, handlers)
	if err != nil {
		return err
	}
	return server.Start(ctx)
}

// server is a child process.
type server struct {
	name    string
	url     string
	process *exec.Cmd
}

type servers []*server

// startServers starts the floor and Sluice, in this order, and waits until both answer.
func startServers(ctx context.Context, dir string) (servers, error) {
	issued, err := certs.Issue(24*time.Hour, "localhost")
	if err != nil {
		return nil, err
	}
	if err := issued.WriteTo(dir); err != nil {
		return nil, err
	}
	var started servers
	for _, which := range []struct{ name, flag string }{{floorName, "floor"}, {sluiceName, "sluice"}} {
		s, err := start(ctx, which.name, which.flag, dir)
		if err != nil {
			started.stop()
			return nil, fmt.Errorf("start %s: %w", which.name, err)
		}
		started = append(started, s)
	}
	return started, nil
}

func start(ctx context.Context, name, which, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{name: name, url: fmt.Sprintf("https://127.0.0.1:%d/validate?timeout=10s", port)}
	s.process = exec.Command(self, "-serve", which, "-cert-dir", dir, "-port", strconv.Itoa(port))
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(dir, which+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	if err := s.waitReady(ctx); err != nil {
		servers{s}.stop()
		output, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w; it said: %.2000s", err, output)
	}
	return s, nil
}

// waitReady asks until the server gives the right answers to all samples.
func (s *server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var err error
		for _, sample := range samples() {
			err = errors.Join(err, checkAnswer(ctx, s.url, sample, sample.allowed || s.name == floorName))
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		case <-tick.C:
		}
	}
}

// stop ends the processes by their ids.
func (s servers) stop() {
	for _, each := range s {
		_ = each.process.Process.Signal(syscall.SIGTERM) // it may be gone already
	}
	for _, each := range s {
		_ = each.process.Wait()
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
