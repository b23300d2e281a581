package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/test/installed"
)

// volume is a folder with the keys of a Secret, as a kubelet mounts it: files are links into ..data, which is a link to a
// folder, so that all of them change at once. A kubelet takes up to a minute or so for it, this one its lag.
type volume struct {
	dir     string
	current string
	filled  chan struct{} // closed when the Secret is there
	lag     atomic.Int64  // as time.Duration
}

// mount follows a Secret until the context ends, whatever becomes of the API server.
func mount(ctx context.Context, dir, name string) (*volume, error) {
	v := &volume{dir: dir, filled: make(chan struct{})}
	events, err := api.Watch(ctx, &corev1.SecretList{}, client.InNamespace(installed.Namespace), client.MatchingFields{"metadata.name": name})
	if err != nil {
		return nil, fmt.Errorf("watch Secret %s: %w", name, err)
	}
	go func() {
		for ctx.Err() == nil {
			v.follow(events, name)
			if again, err := api.Watch(ctx, &corev1.SecretList{}, client.InNamespace(installed.Namespace), client.MatchingFields{"metadata.name": name}); err == nil {
				events = again
			}
			let(ctx, poll)
		}
	}()
	return v, nil
}

func (v *volume) follow(events watch.Interface, name string) {
	for event := range events.ResultChan() {
		s, ok := event.Object.(*corev1.Secret)
		if !ok || event.Type == watch.Deleted || len(s.Data[corev1.TLSCertKey]) == 0 {
			continue // what is mounted stays
		}
		time.Sleep(time.Duration(v.lag.Load()))
		if err := v.write(s.Data); err != nil {
			panic(fmt.Errorf("mount Secret %s: %w", name, err)) // of a temporary folder of our own
		}
	}
}

func (v *volume) write(data map[string][]byte) error {
	next, err := os.MkdirTemp(v.dir, "..")
	if err != nil {
		return err
	}
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(next, name), content, 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(v.dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(next), link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(v.dir, "..data")); err != nil {
		return err
	}
	before := v.current
	v.current = next
	if before != "" {
		return os.RemoveAll(before)
	}
	for name := range data {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil {
			return err
		}
	}
	close(v.filled)
	return nil
}
