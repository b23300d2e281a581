package installed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/plane"
)

// ReplicaLabel is on the namespaces whose objects the second replica judges; the first judges all others. In
// production a Service spreads requests over replicas as it happens, in a test each request has to go to a
// replica that the test knows.
const ReplicaLabel = "example.com/second-replica"

// secondService is the Service in front of the second replica.
const secondService = "sluice-webhook-second"

// StartSecond runs one more manager on a control plane on which Start has installed Sluice.
func StartSecond(ctx context.Context, cluster *plane.Plane, o Options) (*Manager, error) {
	dir, err := os.MkdirTemp("", "sluice-second-")
	if err != nil {
		return nil, err
	}
	m := &Manager{Metrics: prometheus.NewRegistry(), dir: dir, done: make(chan error, 1)}
	ca, err := issueCertificate(dir, secondService)
	if err == nil {
		err = m.serve(ctx, cluster, o, secondService)
	}
	if err == nil {
		err = divert(ctx, cluster, ca)
	}
	if err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}

// StartPair installs Sluice and runs two managers. Their machines' clocks are an hour behind and an hour ahead, which must make no
// difference to anything. Those that run are returned with an error, too.
func StartPair(ctx context.Context, cluster *plane.Plane, o Options) ([]*Manager, error) {
	o.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	first, err := Start(ctx, cluster, o)
	if err != nil {
		return nil, err
	}
	o.Now = func() time.Time { return time.Now().Add(time.Hour) }
	second, err := StartSecond(ctx, cluster, o)
	if err != nil {
		return []*Manager{first}, err
	}
	return []*Manager{first, second}, nil
}

// QuietClient is a client of the cluster's administrator that prints no warnings.
func QuietClient(cluster *plane.Plane) (client.Client, error) {
	config := rest.CopyConfig(cluster.Config)
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return c, nil
}

// divert sends what concerns labelled namespaces to the second replica, and waits until that works.
func divert(ctx context.Context, cluster *plane.Plane, ca []byte) error {
	c, err := client.New(cluster.Config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return fmt.Errorf("connect to the API server: %w", err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: secondService},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}
	if err := c.Create(ctx, service); err != nil {
		return fmt.Errorf("create the second Service: %w", err)
	}
	var first admissionv1.ValidatingWebhookConfiguration
	if err := c.Get(ctx, client.ObjectKey{Name: "sluice"}, &first); err != nil {
		return fmt.Errorf("get the webhook: %w", err)
	}
	second := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "sluice-second"}}
	for i := range first.Webhooks {
		hook := first.Webhooks[i].DeepCopy()
		hook.Name = "second." + hook.Name
		hook.ClientConfig.Service.Name, hook.ClientConfig.CABundle = secondService, ca
		selects(hook, metav1.LabelSelectorOpExists)
		selects(&first.Webhooks[i], metav1.LabelSelectorOpDoesNotExist)
		second.Webhooks = append(second.Webhooks, *hook)
	}
	if err := errors.Join(c.Create(ctx, second), c.Update(ctx, &first)); err != nil {
		return fmt.Errorf("divert to the second replica: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "second-probe", Labels: map[string]string{ReplicaLabel: ""}}}
	if err := c.Create(ctx, namespace); err != nil {
		return fmt.Errorf("create a namespace: %w", err)
	}
	return wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		there := strings.Replace(probe, `"namespace": "default"`, `"namespace": "second-probe"`, 1)
		_, _, denied := cluster.KubectlInput(ctx, strings.NewReader(there), "apply", "--dry-run=server", "-f", "-")
		return denied != nil && strings.Contains(denied.Error(), `admission webhook "second.validate.sluice.dev" denied the request`), nil
	})
}

func selects(hook *admissionv1.ValidatingWebhook, op metav1.LabelSelectorOperator) {
	if hook.NamespaceSelector == nil {
		hook.NamespaceSelector = &metav1.LabelSelector{}
	}
	hook.NamespaceSelector.MatchExpressions = append(hook.NamespaceSelector.MatchExpressions,
		metav1.LabelSelectorRequirement{Key: ReplicaLabel, Operator: op})
}
