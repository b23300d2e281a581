// Package plane runs a real Kubernetes control plane on loopback for suites and the demo: etcd, kube-apiserver and,
// on request, kube-controller-manager, with kubectl to talk to it.
//
// It has no nodes and no cluster network. Webhooks by service reference work all the same: whatever the API server
// dials at a Service goes to the local address that Plane.Route names for it, and TLS is checked against
// <service>.<namespace>.svc as in production.
package plane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AssetsVariable names the environment variable that holds the directory with the binaries, as elsewhere in the
// Kubernetes world.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// ErrNoAssets means that nobody said where the binaries are.
var ErrNoAssets = errors.New(AssetsVariable + " is not set: it names the directory with kube-apiserver, etcd and " +
	"kubectl, which `go -C test/controlplane run .` prints")

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	pollInterval = 50 * time.Millisecond
)

// Options says what to start. Its zero value starts etcd and kube-apiserver from $KUBEBUILDER_ASSETS.
type Options struct {
	// Assets is the directory with the binaries; empty means $KUBEBUILDER_ASSETS.
	Assets string
	// APIServerFlags are flags of kube-apiserver, named without dashes. Each replaces the value that the flag would
	// have had, as {"feature-gates": {"StrictIPCIDRValidation=false"}} does.
	APIServerFlags map[string][]string
	// ControllerManager starts kube-controller-manager too, with the controllers that finish namespace deletion,
	// collect garbage, count quota, create default service accounts and aggregate cluster roles.
	ControllerManager bool
	// ControllerManagerFlags are as APIServerFlags, for kube-controller-manager.
	ControllerManagerFlags map[string][]string
	// Logs is an existing directory that gets one <program>.log each and keeps it; empty means that logs vanish with
	// Stop.
	Logs string
}

// Plane is a running control plane. Its methods may be called from several goroutines at a time.
type Plane struct {
	// Config has all rights (group system:masters) and no client-side rate limit that a test would notice.
	Config *rest.Config

	dir     string
	assets  string
	env     *envtest.Environment
	routes  *routes
	tunnels *tunnels
	manager *process
	logs    []*os.File
}

// Start returns a control plane that answers, creates Services and, with a controller manager, completes namespaces.
// It takes under 10 seconds on two cores. ctx bounds the start only, and a cancellation is noticed once the API server
// runs; the plane itself runs until Stop. After an error nothing is left behind, and the error has the end of the
// failing program's log.
func Start(ctx context.Context, options Options) (*Plane, error) {
	assets, err := findAssets(options)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "plane-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for the control plane: %w", err)
	}
	p := &Plane{dir: dir, assets: assets, routes: newRoutes()}
	if err := p.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("start control plane: %w", err), p.Stop())
	}
	return p, nil
}

// findAssets checks that every binary that will be needed is there.
func findAssets(options Options) (string, error) {
	dir := options.Assets
	if dir == "" {
		dir = os.Getenv(AssetsVariable)
	}
	if dir == "" {
		return "", ErrNoAssets
	}
	needed := []string{"etcd", "kube-apiserver", "kubectl"}
	if options.ControllerManager {
		needed = append(needed, controllerManager)
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("find the binaries of the control plane: %w", err)
		}
	}
	return dir, nil
}

func (p *Plane) start(ctx context.Context, options Options) error {
	var err error
	if p.tunnels, err = listenTunnels(ctx, filepath.Join(p.dir, "egress.sock"), p.routes.resolve); err != nil {
		return err
	}
	if p.env, err = p.environment(ctx, options); err != nil {
		return err
	}
	if p.Config, err = p.env.Start(); err != nil {
		return fmt.Errorf("%w%s%s", err, p.logEnd(options, "etcd"), p.logEnd(options, "kube-apiserver"))
	}
	if err := WriteKubeconfig(p.Kubeconfig(), p.Config); err != nil {
		return err
	}
	c, err := client.New(p.Config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	p.routes.lookIn(c)
	// The API server creates this Service itself as soon as it can hand out cluster IPs.
	if err := waitFor(ctx, c, &corev1.Service{}, "default", "kubernetes"); err != nil {
		return err
	}
	if options.ControllerManager {
		return p.startControllerManager(ctx, options, c)
	}
	return nil
}

func (p *Plane) environment(ctx context.Context, options Options) (*envtest.Environment, error) {
	egress, err := writeEgressConfiguration(p.dir, p.tunnels.socket)
	if err != nil {
		return nil, err
	}
	existing, limit := false, startTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	env := &envtest.Environment{
		UseExistingCluster:       &existing,
		ControlPlaneStartTimeout: limit,
		ControlPlaneStopTimeout:  stopTimeout,
	}
	server := env.ControlPlane.GetAPIServer()
	env.ControlPlane.Etcd = &envtest.Etcd{}
	for dir, holder := range map[string]*string{"apiserver": &server.CertDir, "etcd": &env.ControlPlane.Etcd.DataDir} {
		*holder = filepath.Join(p.dir, dir)
		if err := os.Mkdir(*holder, 0o700); err != nil {
			return nil, fmt.Errorf("create a folder for %s: %w", dir, err)
		}
	}
	server.Path = filepath.Join(p.assets, "kube-apiserver")
	env.ControlPlane.Etcd.Path = filepath.Join(p.assets, "etcd")
	env.ControlPlane.KubectlPath = filepath.Join(p.assets, "kubectl")
	server.Configure().
		Set("authorization-mode", "RBAC").
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none"). // no Endpoints may hold a loopback address
		Set("egress-selector-config-file", egress)
	for flag, values := range options.APIServerFlags {
		server.Configure().Set(flag, values...)
	}
	serverLog, err := p.log(options, "kube-apiserver")
	if err != nil {
		return nil, err
	}
	etcdLog, err := p.log(options, "etcd")
	if err != nil {
		return nil, err
	}
	server.Out, server.Err = serverLog, serverLog
	env.ControlPlane.Etcd.Out, env.ControlPlane.Etcd.Err = etcdLog, etcdLog
	return env, nil
}

// Route sends what the API server dials at a Service, on any of its ports, to a local address such as
// "127.0.0.1:9443"; of several, each new connection goes to the next one that listens. The Service may be created later; it
// needs a cluster IP and no endpoints. A later call replaces the addresses for new connections, and an empty one refuses
// them; open connections stay.
func (p *Plane) Route(namespace, service string, localAddrs ...string) {
	p.routes.set(types.NamespacedName{Namespace: namespace, Name: service}, localAddrs)
}

// AddUser returns the configuration of a user with these groups, known to the API server by client certificate. RBAC
// decides what the user may do.
func (p *Plane) AddUser(name string, groups ...string) (*rest.Config, error) {
	base := &rest.Config{QPS: p.Config.QPS, Burst: p.Config.Burst}
	user, err := p.env.AddUser(envtest.User{Name: name, Groups: groups}, base)
	if err != nil {
		return nil, fmt.Errorf("add user %q: %w", name, err)
	}
	return user.Config(), nil
}

// ServiceAccount returns the configuration of a ServiceAccount, known to the API server by a token as a pod's projected volume
// has it. It lasts for an hour, and nobody renews it.
func (p *Plane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	c, err := client.New(p.Config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("token of ServiceAccount %s: %w", name, err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("token of ServiceAccount %s: %w", name, err)
	}
	return &rest.Config{Host: p.Config.Host, BearerToken: request.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: p.Config.CAData}}, nil
}

// Stop ends every process and removes every temporary file, also after an error, which says what did not go as it
// should.
func (p *Plane) Stop() error {
	var errs []error
	if p.manager != nil {
		errs = append(errs, p.manager.stop(stopTimeout))
	}
	if p.env != nil {
		errs = append(errs, p.env.Stop())
	}
	if p.tunnels != nil {
		errs = append(errs, p.tunnels.close())
	}
	for _, log := range p.logs {
		errs = append(errs, log.Close())
	}
	errs = append(errs, os.RemoveAll(p.dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop control plane: %w", err)
	}
	return nil
}

// log creates the file that a program's output goes to.
func (p *Plane) log(options Options, program string) (*os.File, error) {
	file, err := os.Create(p.logPath(options, program))
	if err != nil {
		return nil, fmt.Errorf("create the log of %s: %w", program, err)
	}
	p.logs = append(p.logs, file)
	return file, nil
}

func (p *Plane) logPath(options Options, program string) string {
	dir := options.Logs
	if dir == "" {
		dir = p.dir
	}
	return filepath.Join(dir, program+".log")
}

// logEnd returns the last lines of a program's log to put behind an error; empty if it wrote none.
func (p *Plane) logEnd(options Options, program string) string {
	content, err := os.ReadFile(p.logPath(options, program))
	if err != nil || len(content) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return fmt.Sprintf("\n%s:\n%s", program, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// waitFor returns once the object exists.
func waitFor(ctx context.Context, c client.Client, object client.Object, namespace, name string) error {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		last = c.Get(ctx, key, object)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for %T %s: %w", object, key, errors.Join(err, last))
	}
	return nil
}
