package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const controllerManager = "kube-controller-manager"

// controllers are those that make objects come and go as in a cluster, without nodes or pods.
var controllers = []string{
	"namespace-controller",
	"garbage-collector-controller",
	"resourcequota-controller",
	"serviceaccount-controller",
	"clusterrole-aggregation-controller",
}

// startControllerManager returns once its controllers act. They are the users that they are in a cluster:
// system:serviceaccount:kube-system:namespace-controller and so on.
func (p *Plane) startControllerManager(ctx context.Context, options Options, c client.Client) error {
	config, err := p.AddUser("system:kube-controller-manager")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(p.dir, controllerManager+".kubeconfig")
	if err := WriteKubeconfig(kubeconfig, config); err != nil {
		return err
	}
	flags := map[string][]string{
		"kubeconfig":                      {kubeconfig},
		"controllers":                     controllers,
		"use-service-account-credentials": {"true"},
		"leader-elect":                    {"false"},
		"bind-address":                    {"127.0.0.1"},
		"secure-port":                     {"0"}, // it serves nothing that a test needs
		"kube-api-qps":                    {"1000"},
		"kube-api-burst":                  {"2000"},
	}
	maps.Copy(flags, options.ControllerManagerFlags)
	log, err := p.log(options, controllerManager)
	if err != nil {
		return err
	}
	if p.manager, err = startProcess(filepath.Join(p.assets, controllerManager), flags, log); err != nil {
		return err
	}

	alive, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.manager.done:
			cancel(fmt.Errorf("it ended by itself: %w", p.manager.err))
		case <-alive.Done():
		}
	}()
	if err := waitFor(alive, c, &corev1.ServiceAccount{}, "default", "default"); err != nil {
		return fmt.Errorf("%s: %w%s", controllerManager,
			errors.Join(context.Cause(alive), err), p.logEnd(options, controllerManager))
	}
	return nil
}

// process is a program in a process group of its own, so that an interrupt at the terminal reaches the tests alone and
// they can clean up.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read it after done
}

func startProcess(path string, flags map[string][]string, output io.Writer) (*process, error) {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		args = append(args, "--"+name+"="+strings.Join(flags[name], ","))
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end and kills it if it takes longer than limit, which is an error.
func (p *process) stop(limit time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	name := filepath.Base(p.cmd.Path)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s, which did not stop: %w", name, err)
	}
	<-p.done
	return fmt.Errorf("%s did not stop in %s and was killed", name, limit)
}
