// Command demo shows Sluice at work on a real control plane: the shipped manifests, a `sluice serve` with the rights
// that they give it, and kubectl, which applies config/samples one by one. It runs from the root of the repository:
//
//	go run ./test/demo [-sluice bin/sluice] [-keep]
//
// Every answer is compared with the one that it should be, so the demo is a test too. The exit code is 0, or 1 after
// an answer that is not as expected or when something did not start. KUBEBUILDER_ASSETS names the binaries of the
// control plane.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/sluice-gate/sluice/test/installed"
	"github.com/sluice-gate/sluice/test/plane"
)

func main() {
	binary := flag.String("sluice", filepath.Join("bin", "sluice"), "the sluice to run")
	keep := flag.Bool("keep", false, "leave everything running until an interrupt")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

// run leaves nothing behind, whatever it returns.
func run(ctx context.Context, binary string, keep bool) (err error) {
	out := newScreen(os.Stdout)
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	var cluster *plane.Plane
	err = out.step("start etcd and kube-apiserver", func() (err error) {
		cluster, err = plane.Start(ctx, plane.Options{})
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()

	gate, err := install(ctx, out, cluster, binary, dir)
	if gate != nil {
		defer func() { err = errors.Join(err, gate.stop()) }()
	}
	if err == nil {
		err = show(ctx, out, cluster, binary)
	}
	if err != nil {
		return errors.Join(err, gate.logEnd())
	}
	if keep {
		out.goOn(cluster.Kubeconfig(), filepath.Join(os.Getenv(plane.AssetsVariable), "kubectl"), gate.log)
		<-ctx.Done()
		return nil
	}
	out.heading("To go on by hand: `make demo KEEP=1` leaves all of this running and says which KUBECONFIG to use.")
	return nil
}

// install brings up Sluice with the profile baseline. A process that started is returned even with an error.
func install(ctx context.Context, out *screen, cluster *plane.Plane, binary, dir string) (gate *process, err error) {
	var ca []byte
	err = out.step("kubectl apply -k config/local", func() (err error) {
		ca, err = installed.IssueCertificate(dir)
		if err != nil {
			return err
		}
		return installed.Install(ctx, cluster, filepath.Join("config", "local"))
	})
	if err != nil {
		return nil, err
	}
	err = out.step("sluice serve", func() (err error) {
		gate, err = serve(ctx, cluster, binary, dir)
		if err != nil {
			return err
		}
		if err := installed.Trust(ctx, cluster.Config, ca); err != nil {
			return err
		}
		return installed.AwaitVetting(ctx, cluster)
	})
	if err != nil {
		return gate, err
	}
	profile := filepath.Join("config", "profiles", "baseline.yaml")
	return gate, out.step("kubectl apply -f "+profile, func() error {
		if _, _, err := cluster.Kubectl(ctx, "apply", "-f", profile); err != nil {
			return err
		}
		if err := installed.AwaitPolicies(ctx, cluster); err != nil {
			return err
		}
		return installed.AwaitVerdicts(ctx, cluster)
	})
}
