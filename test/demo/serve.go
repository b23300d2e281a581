package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

const (
	pollInterval = 50 * time.Millisecond
	readyTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second

	loopback = "127.0.0.1"
)

// serve starts Sluice with the rights of the shipped ServiceAccount and the certificate in dir, routes the webhooks'
// Service to it, and returns once it is ready. A process that started is returned even with an error.
func serve(ctx context.Context, cluster *plane.Plane, binary, dir string) (*process, error) {
	kubeconfig, err := installed.ServiceAccountConfig(ctx, cluster, dir)
	if err != nil {
		return nil, err
	}
	ports, err := installed.FreePorts(2)
	if err != nil {
		return nil, err
	}
	webhook, probes := ports[0], net.JoinHostPort(loopback, strconv.Itoa(ports[1]))
	gate, err := startProcess(ctx, filepath.Join(dir, "sluice.log"), binary, "serve",
		"--kubeconfig="+kubeconfig,
		"--namespace="+installed.Namespace,
		"--cert-dir="+dir,
		"--webhook-host="+loopback,
		fmt.Sprintf("--webhook-port=%d", webhook),
		"--health-probe-bind-address="+probes,
		"--metrics-bind-address=127.0.0.1:0",
		"--log-format=text")
	if err != nil {
		return nil, err
	}
	cluster.Route(installed.Namespace, installed.Service, net.JoinHostPort(loopback, strconv.Itoa(webhook)))
	return gate, awaitReady(ctx, gate, "http://"+probes+"/readyz")
}

func awaitReady(ctx context.Context, gate *process, url string) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if err := gate.ended(); err != nil {
			return false, err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			last = err
			return false, nil
		}
		defer response.Body.Close()
		last = errors.New(response.Status)
		return response.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for sluice to be ready: %w; last answer: %w", err, last)
	}
	return nil
}

// process is a program in a process group of its own, so that an interrupt at the terminal does not end it before the
// control plane is done with it.
type process struct {
	log  string
	cmd  *exec.Cmd
	term context.CancelFunc
	done chan struct{}
}

// startProcess starts a program that runs until stop; ctx passes values only.
func startProcess(ctx context.Context, log, binary string, args ...string) (*process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("create the log of sluice: %w", err)
	}
	defer output.Close() // the program has a copy
	ctx, term := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		term()
		return nil, fmt.Errorf("start sluice: %w", err)
	}
	p := &process{log: log, cmd: cmd, term: term, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the state says how it ended
		close(p.done)
	}()
	return p, nil
}

// ended is an error if the program runs no more.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("sluice ended by itself: %s", p.cmd.ProcessState)
	default:
		return nil
	}
}

// stop asks the program to end, and kills it if it takes too long. Any end but a clean one is an error.
func (p *process) stop() error {
	p.term()
	<-p.done
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("stop sluice: %s", p.cmd.ProcessState)
	}
	return nil
}

// logEnd is an error with the last lines of the program's log; nil if it wrote none or never started.
func (p *process) logEnd() error {
	if p == nil {
		return nil
	}
	content, err := os.ReadFile(p.log)
	if err != nil || len(content) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return fmt.Errorf("the end of sluice's log:\n%s", strings.Join(lines[max(0, len(lines)-10):], "\n"))
}
