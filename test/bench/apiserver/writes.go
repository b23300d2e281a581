package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operation is one kind of write, of the object with a number.
type operation struct {
	name string
	do   func(ctx context.Context, h hook, i int) error
}

// operations are the writes, in the order in which they are made.
func (s *stage) operations() []operation {
	const update = `{"metadata": {"labels": {"changed": "yes"}}, "spec": %s}`
	return []operation{
		{"create Ingress", func(ctx context.Context, h hook, i int) error { return s.api.Create(ctx, web(h, i)) }},
		{"update Ingress", func(ctx context.Context, h hook, i int) error {
			return s.patch(ctx, web(h, i), fmt.Sprintf(update, `{"ingressClassName": "other"}`))
		}},
		{"delete Ingress", func(ctx context.Context, h hook, i int) error { return s.api.Delete(ctx, web(h, i)) }},
		{"create NetworkPolicy", func(ctx context.Context, h hook, i int) error { return s.api.Create(ctx, allow(h, i)) }},
		{"update NetworkPolicy", func(ctx context.Context, h hook, i int) error {
			return s.patch(ctx, allow(h, i), fmt.Sprintf(update, `{"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]}`))
		}},
		{"delete NetworkPolicy", func(ctx context.Context, h hook, i int) error { return s.api.Delete(ctx, allow(h, i)) }},
	}
}

func (s *stage) patch(ctx context.Context, object client.Object, patch string) error {
	return s.api.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// timed does something for so many objects from a number on, by some clients at the same time.
func timed(ctx context.Context, p plan, first, n int, do func(i int) error) (measurement, error) {
	var mu sync.Mutex
	var m measurement
	var failed error
	next := make(chan int, n)
	for i := range n {
		next <- first + i
	}
	close(next)
	started := time.Now()
	var running sync.WaitGroup
	for range p.clients {
		running.Go(func() {
			for i := range next {
				if p.pace != nil {
					_ = p.pace.Wait(ctx) // if it ends, so does what follows
				}
				sent := time.Now()
				err := do(i)
				took := time.Since(sent)
				mu.Lock()
				m.each = append(m.each, took)
				if err != nil && failed == nil {
					failed = err
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	running.Wait()
	m.took = time.Since(started)
	slices.Sort(m.each)
	return m, failed
}

// teams are the namespaces of each hook among which objects are divided, each with a domain of its own.
const teams = 50

func (h hook) team(i int) string { return fmt.Sprintf("%s-%02d", h, i%teams) }

func web(h hook, i int) *networkingv1.Ingress {
	return ingress(h.team(i), fmt.Sprintf("web-%04d", i), true)
}

func allow(h hook, i int) *networkingv1.NetworkPolicy {
	return networkPolicy(h.team(i), fmt.Sprintf("allow-%04d", i))
}

func ingress(namespace, name string, certificate bool) *networkingv1.Ingress {
	host, class, prefix := name+"."+namespace+".example.com", "nginx", networkingv1.PathTypePrefix
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	i.Spec.IngressClassName = &class
	var paths []networkingv1.HTTPIngressPath
	for _, path := range []string{"/", "/cart", "/checkout"} {
		paths = append(paths, networkingv1.HTTPIngressPath{Path: path, PathType: &prefix, Backend: networkingv1.IngressBackend{
			Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}})
	}
	i.Spec.Rules = []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}}}}
	if certificate {
		i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: name}}
	}
	return i
}

// networkPolicy lets some pods in; each policy is about pods of its own.
func networkPolicy(namespace, name string) *networkingv1.NetworkPolicy {
	port := intstr.FromInt32(8080)
	np := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	np.Spec.PodSelector.MatchLabels = map[string]string{"app": name}
	np.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	np.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{
		From:  []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Port: &port}},
	}}
	return np
}
