package installed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/sluice-gate/sluice/test/plane"
)

// Build builds the program of this tree into a folder and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "sluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/sluice-gate/sluice/cmd/sluice")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sluice: %w: %s", err, out)
	}
	return path, nil
}

// Process is `sluice serve` as a process of its own.
type Process struct {
	Address string // host:port of the webhook
	Probe   string // host:port of /healthz and /readyz
	Metrics string // host:port of /metrics

	cmd  *exec.Cmd
	done chan struct{}
	log  tail
}

// ProcessOptions say how to run `sluice serve`.
type ProcessOptions struct {
	Binary     string
	Kubeconfig string   // of Sluice's ServiceAccount: see ServiceAccountConfig
	CertDir    string   // with the certificate: see IssueCertificate
	Command    []string // with the first arguments; nil is serve with leader election in Sluice's namespace
	Args       []string // further arguments
	Env        []string // NAME=value, beside the environment of the test
}

// ServiceAccountConfig writes the kubeconfig of Sluice's ServiceAccount, which is there, into a folder.
func ServiceAccountConfig(ctx context.Context, cluster *plane.Plane, dir string) (string, error) {
	config, err := cluster.ServiceAccount(ctx, Namespace, "sluice")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "sluice.kubeconfig")
	return path, plane.WriteKubeconfig(path, config)
}

// StartProcess starts a replica. It does not wait.
func StartProcess(o ProcessOptions) (*Process, error) {
	ports, err := FreePorts(3)
	if err != nil {
		return nil, err
	}
	local := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	p := &Process{Address: local(ports[0]), Probe: local(ports[1]), Metrics: local(ports[2]), done: make(chan struct{})}
	command := o.Command
	if command == nil {
		command = []string{"serve", "--leader-elect", "--namespace", Namespace}
	}
	p.cmd = exec.Command(o.Binary, slices.Concat(command, []string{"--kubeconfig", o.Kubeconfig, "--cert-dir", o.CertDir,
		"--webhook-host", "127.0.0.1", "--webhook-port", strconv.Itoa(ports[0]), "--health-probe-bind-address", p.Probe,
		"--metrics-bind-address", p.Metrics}, o.Args)...)
	p.cmd.Env = append(os.Environ(), o.Env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal reaches the tests alone
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sluice: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is seen in its log
		close(p.done)
	}()
	return p, nil
}

// AwaitReady returns once /readyz says so.
func (p *Process) AwaitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-p.done:
			return false, errors.New("it ended")
		default:
		}
		return p.IsReady(ctx), nil
	})
	if err != nil {
		return fmt.Errorf("wait for sluice: %w\n%s", err, p.Log())
	}
	return nil
}

// IsReady asks /readyz.
func (p *Process) IsReady(ctx context.Context) bool { return p.Passes(ctx, "/readyz") }

// Passes says whether a probe of a path succeeds.
func (p *Process) Passes(ctx context.Context, path string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Probe+path, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK && response.Body.Close() == nil
}

// Pid is the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once, as kill -9 does, and returns when it has ended.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill sluice: %w", err)
	}
	<-p.done
	return nil
}

// Log is the end of what the process wrote.
func (p *Process) Log() string { return p.log.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 64 << 10

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, data...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = bytes.Clone(t.kept[extra:])
	}
	return len(data), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
