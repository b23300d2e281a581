package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

// kubelet runs the replicas of the applied Deployment as processes, with what it says of them: arguments, environment, probes,
// preStop, grace period. Only addresses, the folder of the certificate and the kubeconfig differ. It stands for the endpoints of
// the Service, too: those replicas that are ready and were not told to go.
type kubelet struct {
	wanted int

	pod       corev1.PodSpec
	container corev1.Container
	options   installed.ProcessOptions
	certs     *volume
	unmount   context.CancelFunc

	mu    sync.Mutex
	pods  []*pod
	ended []string // what replicas wrote that ended by themselves, or were ended because they did not live
	haste int      // how much faster than it should liveness is probed and grace runs out; 0 is not
}

// pod is one replica. Its fields belong to the kubelet's mutex.
type pod struct {
	*installed.Process
	ready   bool
	leaving bool // it is to go, and no endpoint any more
	ending  bool // it was told to end
}

// newKubelet returns when the certificate is mounted, as pods wait for it.
func newKubelet(ctx context.Context, dir string) (*kubelet, error) {
	var d appsv1.Deployment
	if err := api.Get(ctx, client.ObjectKey{Namespace: installed.Namespace, Name: "sluice"}, &d); err != nil {
		return nil, err
	}
	k := &kubelet{wanted: int(*d.Spec.Replicas), pod: d.Spec.Template.Spec, container: d.Spec.Template.Spec.Containers[0]}
	binary, err := installed.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	config, err := cluster.ServiceAccount(ctx, installed.Namespace, k.pod.ServiceAccountName)
	if err != nil {
		return nil, err
	}
	config.Host = "https://" + uplink.address()
	kubeconfig := dir + "/sluice.kubeconfig"
	if err := plane.WriteKubeconfig(kubeconfig, config); err != nil {
		return nil, err
	}
	certDir := dir + "/certs"
	if err := os.Mkdir(certDir, 0o700); err != nil {
		return nil, err
	}
	mounted, unmount := context.WithCancel(context.WithoutCancel(ctx))
	k.unmount = unmount
	if k.certs, err = mount(mounted, certDir, k.pod.Volumes[0].Secret.SecretName); err != nil {
		return nil, err
	}
	select {
	case <-k.certs.filled:
	case <-issuer.done:
		return nil, fmt.Errorf("cert-manager ended: %s", issuer.log.String())
	case <-time.After(patience):
		return nil, errors.New("cert-manager issued no certificate")
	}
	k.options = installed.ProcessOptions{Binary: binary, Kubeconfig: kubeconfig, CertDir: certDir,
		Command: slices.Concat(k.container.Command, k.container.Args), Env: environment(k.container)}
	return k, nil
}

// environment is what a kubelet makes of a container's env.
func environment(c corev1.Container) []string {
	var env []string
	for _, v := range c.Env {
		value := v.Value
		switch from := v.ValueFrom; {
		case from == nil:
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			value = installed.Namespace
		case from.ResourceFieldRef != nil && from.ResourceFieldRef.Resource == "limits.memory":
			value = strconv.FormatInt(c.Resources.Limits.Memory().Value(), 10)
		}
		env = append(env, v.Name+"="+value)
	}
	return env
}

// start runs one more replica. It does not wait.
func (k *kubelet) start() (*pod, error) {
	process, err := installed.StartProcess(k.options)
	if err != nil {
		return nil, err
	}
	p := &pod{Process: process}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods = append(k.pods, p)
	go k.probe(p)
	go k.revive(p)
	return p, nil
}

// probe follows a replica until it ends.
func (k *kubelet) probe(p *pod) {
	startup, readiness := k.container.StartupProbe, k.container.ReadinessProbe
	started, failures := false, 0
	next := time.NewTicker(time.Duration(startup.PeriodSeconds) * time.Second)
	defer func() { next.Stop() }()
	for {
		select {
		case <-p.Done():
			k.change(func() { p.ready = false })
			k.again(p)
			return
		case <-next.C:
		}
		if !started {
			if !passes(p, startup) {
				continue
			}
			started = true
			next.Reset(time.Duration(readiness.PeriodSeconds) * time.Second)
		}
		if passes(p, readiness) {
			failures = 0
			k.change(func() { p.ready = true })
		} else if failures++; failures >= int(readiness.FailureThreshold) {
			k.change(func() { p.ready = false })
		}
	}
}

// revive ends a replica that does not live; probe starts it again.
func (k *kubelet) revive(p *pod) {
	liveness := k.container.LivenessProbe
	last, failures := time.Now(), 0
	for failures < int(liveness.FailureThreshold) {
		select {
		case <-p.Done():
			return
		case <-time.After(poll):
		}
		if time.Since(last) < k.hastened(liveness.PeriodSeconds) {
			continue
		}
		last = time.Now()
		if passes(p, liveness) {
			failures = 0
		} else {
			failures++
		}
	}
	_ = p.Signal(syscall.SIGTERM) // fails if it ended meanwhile
	select {
	case <-p.Done():
	case <-time.After(k.hastened(int32(*k.pod.TerminationGracePeriodSeconds))):
		_ = p.Kill() // likewise
	}
}

func (k *kubelet) hastened(seconds int32) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(seconds) * time.Second / time.Duration(max(k.haste, 1))
}

// again starts a replica that ended by itself once more, as long as it makes sense.
func (k *kubelet) again(p *pod) {
	k.mu.Lock()
	itself := !p.ending && !p.leaving
	if itself {
		k.ended = append(k.ended, p.Log())
		k.pods = slices.DeleteFunc(k.pods, func(other *pod) bool { return other == p })
	}
	sense := len(k.ended) < 10
	k.mu.Unlock()
	if itself && sense {
		if _, err := k.start(); err != nil {
			panic(err) // the binary ran a moment ago
		}
	}
}

func passes(p *pod, probe *corev1.Probe) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(probe.TimeoutSeconds)*time.Second)
	defer cancel()
	return p.Passes(ctx, probe.HTTPGet.Path)
}

// change changes pods and sends the API server to those that are endpoints now.
func (k *kubelet) change(edit func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	edit()
	var addresses []string
	for _, p := range k.pods {
		if p.ready && !p.leaving {
			addresses = append(addresses, p.Address)
		}
	}
	cluster.Route(installed.Namespace, installed.Service, addresses...)
}

// running are the replicas that were not told to go.
func (k *kubelet) running() []*pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.pods), func(p *pod) bool { return p.leaving })
}

// awaitReady returns once every replica that is to stay is ready, and that are as many as the Deployment wants.
func (k *kubelet) awaitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, poll, patience, true, func(context.Context) (bool, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		ready := 0
		for _, p := range k.pods {
			if p.ready && !p.leaving {
				ready++
			}
		}
		return ready >= k.wanted, nil
	})
	if err != nil {
		for _, p := range k.running() {
			err = fmt.Errorf("%w\n%s", err, p.Log())
		}
		return fmt.Errorf("wait for the replicas: %w\n%s", err, strings.Join(k.ended, "\n"))
	}
	return nil
}

// remove ends a replica as the deletion of its pod does: it is no endpoint any more, preStop runs, then it is told to stop. One
// that does not within the grace period is killed, which is an error.
func (k *kubelet) remove(p *pod) error {
	k.change(func() { p.leaving = true })
	stop := time.Duration(k.container.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	grace := time.Duration(*k.pod.TerminationGracePeriodSeconds) * time.Second
	time.Sleep(stop) // this is what the Deployment says
	return k.terminate(p, grace-stop)
}

// terminate tells a replica to stop and nobody else that it goes, as somebody with a shell on its node does.
func (k *kubelet) terminate(p *pod, limit time.Duration) error {
	k.change(func() { p.ending = true })
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop a replica: %w", err)
	}
	select {
	case <-p.Done():
	case <-time.After(limit):
		return errors.Join(fmt.Errorf("a replica did not stop in %s and was killed\n%s", limit, p.Log()), k.kill(p))
	}
	k.forget(p)
	return nil
}

// kill ends a replica at once.
func (k *kubelet) kill(p *pod) error {
	k.change(func() { p.ending = true })
	err := p.Kill()
	k.forget(p)
	return err
}

func (k *kubelet) forget(p *pod) {
	k.change(func() { k.pods = slices.DeleteFunc(k.pods, func(other *pod) bool { return other == p }) })
}

// restart replaces every replica by a new one, as `kubectl rollout restart` does: one more than wanted at a time, and none goes
// before its successor is ready.
func (k *kubelet) restart(ctx context.Context) error {
	var leaving sync.WaitGroup
	defer leaving.Wait()
	old := k.running()
	errs := make(chan error, len(old))
	for _, p := range old {
		next, err := k.start()
		if err != nil {
			return err
		}
		if err := k.awaitPod(ctx, next); err != nil {
			return err
		}
		leaving.Go(func() { errs <- k.remove(p) })
	}
	leaving.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (k *kubelet) awaitPod(ctx context.Context, p *pod) error {
	err := wait.PollUntilContextTimeout(ctx, poll, patience, true, func(context.Context) (bool, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		return p.ready, nil
	})
	if err != nil {
		return fmt.Errorf("wait for a replica: %w\n%s", err, p.Log())
	}
	return nil
}

// stop ends everything.
func (k *kubelet) stop() error {
	k.unmount()
	var errs []error
	for _, p := range slices.Clone(k.running()) {
		errs = append(errs, k.kill(p))
	}
	return errors.Join(errs...)
}
