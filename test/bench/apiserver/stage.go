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

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/sluice-gate/sluice/certs"
	"github.com/sluice-gate/sluice/policies/profile"
	"github.com/sluice-gate/sluice/policies/v1alpha1"
	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

const (
	home         = "bench" // the namespace of the floor's Service
	floorService = "floor"
)

// stage is a control plane with Sluice and the hook that allows everything, each asked about namespaces of its own.
type stage struct {
	cluster *plane.Plane
	api     client.Client
	dir     string
	replica *installed.Process
	floor   *exec.Cmd
	ready   time.Duration // from the start of a replica, with all that the others have to judge by

	floorCA []byte
}

// newStage returns what has been started even with an error, so that it can be stopped. So many Ingresses and NetworkPolicies are
// there before Sluice is.
func newStage(ctx context.Context, held int) (*stage, error) {
	s := &stage{}
	var err error
	if s.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return s, err
	}
	if s.cluster, err = plane.Start(ctx, plane.Options{}); err != nil {
		return s, err
	}
	config := rest.CopyConfig(s.cluster.Config)
	config.WarningHandler, config.QPS = rest.NoWarnings{}, -1
	if s.api, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return s, err
	}
	if err := errors.Join(s.createTeams(ctx), s.hold(ctx, held)); err != nil {
		return s, err
	}
	if err := s.startFloor(ctx); err != nil {
		return s, fmt.Errorf("start the hook that allows everything: %w", err)
	}
	if err := s.startSluice(ctx); err != nil {
		return s, err
	}
	return s, s.installHooks(ctx)
}

// createTeams makes the namespaces, each with a default deny: without it, restricted refuses to delete other policies.
func (s *stage) createTeams(ctx context.Context) error {
	if err := s.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}}); err != nil {
		return err
	}
	for _, h := range hooks() {
		for i := range teams {
			name := h.team(i)
			labels := map[string]string{hookLabel: string(h)}
			if err := s.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}); err != nil {
				return err
			}
			floor := networkPolicy(name, "default-deny")
			floor.Spec = networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"}}
			if err := s.api.Create(ctx, floor); err != nil {
				return err
			}
		}
	}
	return nil
}

// hold creates objects that stay.
func (s *stage) hold(ctx context.Context, n int) error {
	_, err := timed(ctx, plan{clients: 8}, 0, n, func(i int) error {
		name, team := fmt.Sprintf("held-%05d", i), sluiceHook.team(i)
		return errors.Join(s.api.Create(ctx, ingress(team, name, true)), s.api.Create(ctx, networkPolicy(team, name)))
	})
	return err
}

func (s *stage) startSluice(ctx context.Context) error {
	binary, err := installed.Build(ctx, s.dir)
	if err != nil {
		return err
	}
	if err := installed.Install(ctx, s.cluster, "config/local"); err != nil {
		return err
	}
	options := installed.ProcessOptions{Binary: binary, CertDir: s.dir}
	if options.Kubeconfig, err = installed.ServiceAccountConfig(ctx, s.cluster, s.dir); err != nil {
		return err
	}
	ca, err := installed.IssueCertificate(s.dir)
	if err != nil {
		return err
	}
	if s.replica, err = installed.StartProcess(options); err != nil {
		return err
	}
	s.cluster.Route(installed.Namespace, installed.Service, s.replica.Address)
	if err := errors.Join(installed.Trust(ctx, s.cluster.Config, ca), s.replica.AwaitReady(ctx)); err != nil {
		return err
	}
	set, err := profile.Load(profile.Options{Name: "restricted"})
	if err != nil {
		return err
	}
	for i := range set.Policies {
		if set.Policies[i].Name == "namespace-default-deny" { // it has nothing to do with what is written
			set.Policies[i].Spec.Action = v1alpha1.ActionWarn
		}
	}
	if err := errors.Join(installed.ApplyPolicies(ctx, s.cluster, set), installed.AwaitVerdicts(ctx, s.cluster)); err != nil {
		return err
	}
	return s.measureStart(ctx, options)
}

// measureStart starts another replica and ends it.
func (s *stage) measureStart(ctx context.Context, options installed.ProcessOptions) error {
	started := time.Now()
	another, err := installed.StartProcess(options)
	if err != nil {
		return err
	}
	err = another.AwaitReady(ctx)
	s.ready = time.Since(started)
	return errors.Join(err, another.Kill())
}

// startFloor starts the hook in a process of its own, behind a Service as Sluice is.
func (s *stage) startFloor(ctx context.Context) error {
	dir := filepath.Join(s.dir, "floor")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	issued, err := certs.Issue(24*time.Hour, floorService+"."+home+".svc")
	if err != nil {
		return err
	}
	s.floorCA = issued.CA
	if err := issued.WriteTo(dir); err != nil {
		return err
	}
	ports, err := installed.FreePorts(1)
	if err != nil {
		return err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.floor = exec.Command(self, "-serve-floor", address, "-cert-dir", dir)
	s.floor.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.floor.Start(); err != nil {
		return err
	}
	s.cluster.Route(home, floorService, address)
	return s.api.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: floorService},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}})
}

// serveFloor is what the child process does.
func serveFloor(ctx context.Context, address, certDir string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	server := ctrlwebhook.NewServer(ctrlwebhook.Options{Host: host, Port: number, CertDir: certDir,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }}})
	server.Register("/validate", &admission.Webhook{Handler: admission.HandlerFunc(func(_ context.Context, r admission.Request) admission.Response {
		if r.Name == probe {
			return admission.Denied(refusal)
		}
		return admission.Allowed("")
	})})
	return server.Start(ctx)
}

func (s *stage) stop() error {
	var errs []error
	if s.replica != nil {
		errs = append(errs, s.replica.Kill())
	}
	if s.floor != nil && s.floor.Process != nil {
		_ = s.floor.Process.Signal(syscall.SIGTERM) // it may be gone already
		_ = s.floor.Wait()
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
