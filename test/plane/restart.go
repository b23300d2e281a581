package plane

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const apiServer = "kube-apiserver"

// EndAPIServer sends a signal to the API server and returns when it has ended. One that takes longer than limit is killed, as a
// kubelet does.
func (p *Plane) EndAPIServer(ctx context.Context, signal syscall.Signal, limit time.Duration) error {
	if err := p.Signal(apiServer, signal); err != nil {
		return err
	}
	ended := func(context.Context) (bool, error) { return p.Signal(apiServer, 0) != nil, nil }
	if wait.PollUntilContextTimeout(ctx, pollInterval, limit, true, ended) == nil {
		return nil
	}
	if err := p.Signal(apiServer, syscall.SIGKILL); err != nil {
		return err
	}
	if err := wait.PollUntilContextTimeout(ctx, pollInterval, stopTimeout, true, ended); err != nil {
		return fmt.Errorf("end the API server: %w", err)
	}
	return nil
}

// StartAPIServer starts the API server again, with the arguments, port, certificates and users that it had, and returns when it is
// healthy.
func (p *Plane) StartAPIServer() error {
	if err := p.env.ControlPlane.GetAPIServer().Start(); err != nil {
		return fmt.Errorf("start the API server again: %w", err)
	}
	return nil
}
