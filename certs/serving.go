package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Serving is the certificate of a folder, as it is served: read again when the files change, by a rename, a write or the
// kubelet's swap of a symbolic link, within moments, and after 10 seconds at the latest. Connections that are open stay. What
// can't be read, such as a certificate whose key has not come yet, leaves the one before in use.
type Serving struct {
	certFile, keyFile string
	watcher           atomic.Pointer[certwatcher.CertWatcher]
}

// fileInterval is the time between two looks for files that were not there at the start.
const fileInterval = time.Second

// NewServing reads the files, which may be missing yet.
func NewServing(dir string) *Serving {
	s := &Serving{certFile: filepath.Join(dir, CertFile), keyFile: filepath.Join(dir, KeyFile)}
	_ = s.open() // Certificate says so
	return s
}

func (s *Serving) open() error {
	watcher, err := certwatcher.New(s.certFile, s.keyFile)
	if err != nil {
		return err
	}
	s.watcher.Store(watcher)
	return nil
}

// Certificate is what a client is served whose handshake begins now; it is a tls.Config.GetCertificate.
func (s *Serving) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if watcher := s.watcher.Load(); watcher != nil {
		return watcher.GetCertificate(hello)
	}
	if _, err := tls.LoadX509KeyPair(s.certFile, s.keyFile); err != nil {
		return nil, fmt.Errorf("read the serving certificate: %w", err)
	}
	return nil, errors.New("the serving certificate is about to be read")
}

// Start keeps the certificate up to date until the context ends.
func (s *Serving) Start(ctx context.Context) error {
	for s.watcher.Load() == nil && s.open() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(fileInterval):
		}
	}
	if err := s.watcher.Load().Start(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch the serving certificate: %w", err)
	}
	return nil
}

// NeedLeaderElection is false: every replica serves.
func (s *Serving) NeedLeaderElection() bool { return false }
