// Package install reads what an installation would apply: the kustomize folders below config, and the Helm chart.
package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Config is the folder with what is applied.
const Config = "../../config"

// Objects are named by kind, namespace and name, as in "Deployment sluice-system/sluice".
type Objects map[string]*unstructured.Unstructured

// Kustomize renders a folder below Config as `kubectl kustomize` does.
func Kustomize(folder string) (Objects, error) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), Config+"/"+folder)
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", folder, err)
	}
	text, err := made.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", folder, err)
	}
	return read(text)
}

// Chart renders the chart in a namespace as `helm template` does; the CRDs, which Helm applies before, are not among it.
func Chart(namespace string, values map[string]any) (Objects, error) {
	loaded, err := loader.LoadDir(Config + "/chart")
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	release := common.ReleaseOptions{Name: "sluice", Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, release, nil)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	var text strings.Builder
	for name, content := range files {
		if strings.HasSuffix(name, ".yaml") {
			text.WriteString("\n---\n" + content)
		}
	}
	return read([]byte(text.String()))
}

// ChartCRDs are what Helm applies first.
func ChartCRDs() (Objects, error) {
	loaded, err := loader.LoadDir(Config + "/chart")
	if err != nil {
		return nil, fmt.Errorf("load chart: %w", err)
	}
	var text bytes.Buffer
	for _, crd := range loaded.CRDObjects() {
		text.WriteString("\n---\n")
		text.Write(crd.File.Data)
	}
	return read(text.Bytes())
}

func read(text []byte) (Objects, error) {
	objects := Objects{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what was rendered: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		name := object.GetName()
		if namespace := object.GetNamespace(); namespace != "" {
			name = namespace + "/" + name
		}
		key := object.GetKind() + " " + name
		if _, twice := objects[key]; twice {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		objects[key] = object
	}
}
