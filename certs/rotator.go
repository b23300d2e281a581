package certs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// roundInterval is how soon a caBundle that somebody took away is back, and a renewed certificate served by the other replicas.
const roundInterval = 10 * time.Second

// RotatorOptions say where the certificate is kept, and who has to trust it.
type RotatorOptions struct {
	Client kubernetes.Interface
	// Namespace is that of Secret, which must exist and may be empty, and of Service, whose name the certificate bears.
	Namespace, Secret, Service string
	// Configuration is the name of the validating and of the mutating webhook configuration. Either may be missing for a while.
	Configuration string
	// Dir gets tls.crt and tls.key.
	Dir string
	Log logr.Logger
	Now func() time.Time // nil is time.Now
}

// Rotator keeps a serving certificate where no cert-manager does: in a Secret that all replicas share, in the caBundle of the
// webhook configurations, and in the folder from which it is served. Every replica runs one; whoever comes first renews.
//
// A new authority joins the old one in the caBundle for as long as that is valid, and signs only when the serving certificate
// is due, weeks later: no API server meets a certificate that it does not trust yet.
type Rotator struct{ o RotatorOptions }

// NewRotator returns a rotator that has done nothing yet.
func NewRotator(o RotatorOptions) (*Rotator, error) {
	if o.Client == nil || o.Namespace == "" || o.Secret == "" || o.Service == "" || o.Configuration == "" || o.Dir == "" {
		return nil, errors.New("new certificate rotator: a client, a namespace, a Secret, a Service, a webhook configuration and a folder are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Rotator{o: o}, nil
}

// NeedLeaderElection is false: every replica serves.
func (r *Rotator) NeedLeaderElection() bool { return false }

// Start repeats Ensure until ctx ends. What fails is logged and tried again; the certificate in use stays.
func (r *Rotator) Start(ctx context.Context) error {
	ticker := time.NewTicker(roundInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := r.Ensure(ctx); err != nil && ctx.Err() == nil {
				r.o.Log.Error(err, "keep the serving certificate")
			}
		}
	}
}

// Ensure makes or renews the certificate if it is due, then lets the webhook configurations trust it, then serves it. After nil
// there are files to serve.
func (r *Rotator) Ensure(ctx context.Context) error {
	pair, err := r.stored(ctx)
	if err != nil {
		return err
	}
	if err := r.trust(ctx, pair.bundle); err != nil {
		return err
	}
	return r.write(Issued{CA: pair.bundle, Cert: pair.cert, Key: pair.key})
}

// stored is what the Secret holds once nothing in it is due. Of several replicas that renew at the same time, one wins.
func (r *Rotator) stored(ctx context.Context) (kept keyring, err error) {
	secrets := r.o.Client.CoreV1().Secrets(r.o.Namespace)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		secret, err := secrets.Get(ctx, r.o.Secret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		kept = keyringOf(secret)
		changes, err := kept.renew(r.o.Service+"."+r.o.Namespace+".svc", r.o.Now())
		if err != nil || len(changes) == 0 {
			return err
		}
		secret.Data = kept.data(secret.Data)
		if _, err := secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
			return err
		}
		r.o.Log.Info("renewed the serving certificate", "namespace", r.o.Namespace, "name", r.o.Secret, "renewed", changes)
		return nil
	})
	if err != nil {
		return keyring{}, fmt.Errorf("certificate in Secret %s/%s: %w", r.o.Namespace, r.o.Secret, err)
	}
	return kept, nil
}

// write leaves files alone that are as they should be: whoever watches them would load them again.
func (r *Rotator) write(issued Issued) error {
	cert, certErr := os.ReadFile(filepath.Join(r.o.Dir, CertFile))
	key, keyErr := os.ReadFile(filepath.Join(r.o.Dir, KeyFile))
	if certErr == nil && keyErr == nil && bytes.Equal(cert, issued.Cert) && bytes.Equal(key, issued.Key) {
		return nil
	}
	return issued.WriteTo(r.o.Dir)
}

// trust puts the authorities into both configurations. One that is missing is not ours to make.
func (r *Rotator) trust(ctx context.Context, bundle []byte) error {
	hooks := r.o.Client.AdmissionregistrationV1()
	validating, err := hooks.ValidatingWebhookConfigurations().Get(ctx, r.o.Configuration, metav1.GetOptions{})
	if err == nil {
		trusting := bundlePatch{bundle: bundle, version: validating.ResourceVersion}
		for _, hook := range validating.Webhooks {
			trusting.add(hook.Name, hook.ClientConfig)
		}
		err = trusting.apply(func(patch []byte) error {
			_, err := hooks.ValidatingWebhookConfigurations().Patch(ctx, r.o.Configuration, bundlePatchType, patch, metav1.PatchOptions{})
			return err
		})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("caBundle of ValidatingWebhookConfiguration %s: %w", r.o.Configuration, err)
	}
	mutating, err := hooks.MutatingWebhookConfigurations().Get(ctx, r.o.Configuration, metav1.GetOptions{})
	if err == nil {
		trusting := bundlePatch{bundle: bundle, version: mutating.ResourceVersion}
		for _, hook := range mutating.Webhooks {
			trusting.add(hook.Name, hook.ClientConfig)
		}
		err = trusting.apply(func(patch []byte) error {
			_, err := hooks.MutatingWebhookConfigurations().Patch(ctx, r.o.Configuration, bundlePatchType, patch, metav1.PatchOptions{})
			return err
		})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("caBundle of MutatingWebhookConfiguration %s: %w", r.o.Configuration, err)
	}
	return nil
}

// keyringOf reads what Ensure wrote.
func keyringOf(secret *corev1.Secret) keyring {
	return keyring{
		bundle: secret.Data[authorityFile], authorityKey: secret.Data[authorityKeyFile],
		cert: secret.Data[CertFile], key: secret.Data[KeyFile],
	}
}
