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

// measure makes all writes once.
func (s *stage) measure(ctx context.Context, p plan) (map[string]measurement, error) {
	const update = `{"metadata": {"labels": {"changed": "yes"}}, "spec": %s}`
	out := map[string]measurement{}
	for _, step := range []struct {
		operation string
		do        func(i int) error
	}{
		{"create Ingress", func(i int) error { return s.api.Create(ctx, web(i)) }},
		{"update Ingress", func(i int) error {
			return s.patch(ctx, web(i), fmt.Sprintf(update, `{"ingressClassName": "other"}`))
		}},
		{"delete Ingress", func(i int) error { return s.api.Delete(ctx, web(i)) }},
		{"create NetworkPolicy", func(i int) error { return s.api.Create(ctx, allow(i)) }},
		{"update NetworkPolicy", func(i int) error {
			return s.patch(ctx, allow(i), fmt.Sprintf(update, `{"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]}`))
		}},
		{"delete NetworkPolicy", func(i int) error { return s.api.Delete(ctx, allow(i)) }},
	} {
		m, err := timed(ctx, p, step.do)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.operation, err)
		}
		out[step.operation] = m
	}
	return out, nil
}

func (s *stage) patch(ctx context.Context, object client.Object, patch string) error {
	return s.api.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// timed does something for each object, by some clients at the same time.
func timed(ctx context.Context, p plan, do func(i int) error) (measurement, error) {
	var mu sync.Mutex
	var m measurement
	var failed error
	next := make(chan int, p.objects)
	for i := range p.objects {
		next <- i
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

// teams are the namespaces among which objects are divided, each with a domain of its own.
const teams = 50

func team(i int) string { return fmt.Sprintf("team-%02d", i%teams) }

func web(i int) *networkingv1.Ingress {
	return ingress(team(i), fmt.Sprintf("web-%04d", i), true)
}

func allow(i int) *networkingv1.NetworkPolicy {
	return networkPolicy(team(i), fmt.Sprintf("allow-%04d", i))
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
