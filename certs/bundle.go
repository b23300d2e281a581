package certs

import (
	"bytes"
	"encoding/json"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
)

// bundlePatchType merges entries by their names: the rules, which somebody else keeps, stay out of it.
const bundlePatchType = types.StrategicMergePatchType

// bundlePatch gives the entries of a webhook configuration their caBundle, and touches nothing else in them.
type bundlePatch struct {
	bundle  []byte
	version string // of the configuration that was read: an entry that went since must not come back
	hooks   []hookPatch
	due     bool
}

type hookPatch struct {
	Name         string       `json:"name"`
	ClientConfig clientConfig `json:"clientConfig"`
}

type clientConfig struct {
	CABundle []byte `json:"caBundle"`
}

func (b *bundlePatch) add(name string, now admissionv1.WebhookClientConfig) {
	b.due = b.due || !bytes.Equal(now.CABundle, b.bundle)
	b.hooks = append(b.hooks, hookPatch{Name: name, ClientConfig: clientConfig{CABundle: b.bundle}})
}

// apply calls patch unless every entry is as it should be.
func (b *bundlePatch) apply(patch func([]byte) error) error {
	if !b.due {
		return nil
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": b.version},
		"webhooks": b.hooks,
	})
	if err != nil {
		return err
	}
	return patch(body)
}
