package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
)

// The Certificates of config/certmanager, and the Secrets that they end in.
const (
	serving       = "sluice-webhook"
	servingSecret = "sluice-webhook-cert"
	authority     = "sluice-webhook-ca"
)

const (
	poll     = 50 * time.Millisecond
	patience = 60 * time.Second
)

// certManager is cert-manager's controllers as a process.
type certManager struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  bytes.Buffer // read it after done
}

func startCertManager(ctx context.Context) (*certManager, error) {
	_, _, err := cluster.Kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(programs, "crds"))
	if err == nil {
		_, _, err = cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
	}
	if err != nil {
		return nil, fmt.Errorf("install cert-manager's CRDs: %w", err)
	}
	m := &certManager{done: make(chan struct{})}
	m.cmd = exec.Command(filepath.Join(programs, "certmanager"), "-kubeconfig", cluster.Kubeconfig())
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal reaches the tests alone
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start cert-manager: %w", err)
	}
	go func() {
		_ = m.cmd.Wait() // how it ended is seen in its log
		close(m.done)
	}()
	return m, nil
}

// stop ends the process, which must not have ended before.
func (m *certManager) stop() error {
	select {
	case <-m.done:
		return fmt.Errorf("cert-manager ended by itself: %s", m.log.String())
	default:
	}
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop cert-manager: %w", err)
	}
	select {
	case <-m.done:
	case <-time.After(10 * time.Second):
		_ = m.cmd.Process.Kill() // fails if it ended meanwhile
		<-m.done
	}
	return nil
}

func certificate(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	c := &unstructured.Unstructured{}
	c.SetGroupVersionKind(schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"})
	return c, api.Get(ctx, client.ObjectKey{Namespace: installed.Namespace, Name: name}, c)
}

// renew asks cert-manager for a new certificate as `cmctl renew` does, and returns once it is issued.
func renew(ctx context.Context, name string) error {
	var before int64
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		c, err := certificate(ctx, name)
		if err != nil {
			return err
		}
		before, _, _ = unstructured.NestedInt64(c.Object, "status", "revision")
		conditions, _, _ := unstructured.NestedSlice(c.Object, "status", "conditions")
		conditions = append(withoutIssuing(conditions), map[string]any{
			"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewed by a test",
			"lastTransitionTime": time.Now().UTC().Format(time.RFC3339), "observedGeneration": c.GetGeneration()})
		if err := unstructured.SetNestedSlice(c.Object, conditions, "status", "conditions"); err != nil {
			return err
		}
		return api.Status().Update(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("ask for a new certificate %s: %w", name, err)
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, poll, patience, true, func(ctx context.Context) (bool, error) {
		var c *unstructured.Unstructured
		if c, last = certificate(ctx, name); last != nil {
			return false, nil
		}
		revision, _, _ := unstructured.NestedInt64(c.Object, "status", "revision")
		conditions, _, _ := unstructured.NestedSlice(c.Object, "status", "conditions")
		return revision > before && len(withoutIssuing(conditions)) == len(conditions), nil
	})
	if err != nil {
		return fmt.Errorf("wait for a new certificate %s: %w", name, errors.Join(err, last))
	}
	return nil
}

func withoutIssuing(conditions []any) []any {
	var kept []any
	for _, c := range conditions {
		if c.(map[string]any)["type"] != "Issuing" {
			kept = append(kept, c)
		}
	}
	return kept
}

// secret returns what cert-manager issued.
func secret(ctx context.Context, name string) (map[string][]byte, error) {
	var s corev1.Secret
	err := api.Get(ctx, client.ObjectKey{Namespace: installed.Namespace, Name: name}, &s)
	return s.Data, err
}
