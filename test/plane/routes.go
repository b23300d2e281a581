package plane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// routes knows which local addresses stand for which Service.
type routes struct {
	mu       sync.RWMutex
	local    map[types.NamespacedName][]string
	turn     atomic.Uint64
	services client.Reader // nil until lookIn
}

func newRoutes() *routes {
	return &routes{local: map[types.NamespacedName][]string{}}
}

// lookIn says where to find the Service that has a cluster IP. Until then cluster IPs do not resolve.
func (r *routes) lookIn(services client.Reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services = services
}

func (r *routes) set(service types.NamespacedName, localAddrs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local[service] = slices.DeleteFunc(slices.Clone(localAddrs), func(addr string) bool { return addr == "" })
}

// resolve returns the local address for host:port as the API server dials it. By default that is a Service's cluster IP
// (kube-aggregator's ClusterIPServiceResolver); extension servers with the default resolver dial
// <service>.<namespace>.svc. Everything else is an error.
func (r *routes) resolve(ctx context.Context, target string) (string, error) {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return "", fmt.Errorf("not host:port: %w", err)
	}
	service, err := r.serviceOf(ctx, host)
	if err != nil {
		return "", err
	}
	r.mu.RLock()
	addrs := r.local[service]
	r.mu.RUnlock()
	if len(addrs) == 0 {
		return "", fmt.Errorf("Service %s has no route: call Plane.Route", service)
	}
	first := r.turn.Add(1)
	for i := range addrs[1:] { // of several, the next in turn that listens
		addr := addrs[(first+uint64(i))%uint64(len(addrs))]
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
			return addr, conn.Close()
		}
	}
	return addrs[(first+uint64(len(addrs))-1)%uint64(len(addrs))], nil
}

func (r *routes) serviceOf(ctx context.Context, host string) (types.NamespacedName, error) {
	if net.ParseIP(host) == nil {
		labels := strings.Split(strings.TrimSuffix(host, ".cluster.local"), ".")
		if len(labels) != 3 || labels[2] != "svc" {
			return types.NamespacedName{}, fmt.Errorf("%s is not <service>.<namespace>.svc", host)
		}
		return types.NamespacedName{Namespace: labels[1], Name: labels[0]}, nil
	}
	r.mu.RLock()
	services := r.services
	r.mu.RUnlock()
	if services == nil {
		return types.NamespacedName{}, errors.New("the control plane is still starting")
	}
	var list corev1.ServiceList
	if err := services.List(ctx, &list); err != nil {
		return types.NamespacedName{}, fmt.Errorf("list Services: %w", err)
	}
	for _, service := range list.Items {
		if slices.Contains(service.Spec.ClusterIPs, host) {
			return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}, nil
		}
	}
	return types.NamespacedName{}, fmt.Errorf("%s is no Service's cluster IP", host)
}
