package plane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig is the path of a file with all rights, for kubectl and other programs. It vanishes with Stop.
func (p *Plane) Kubeconfig() string {
	return filepath.Join(p.dir, "admin.kubeconfig")
}

// Kubectl runs kubectl with all rights (add --as for another user). An exit code other than 0 is an error that holds
// what kubectl wrote to stderr.
func (p *Plane) Kubectl(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	return p.KubectlInput(ctx, nil, args...)
}

// KubectlInput is Kubectl with something on stdin, as `apply -f -` wants it.
func (p *Plane) KubectlInput(ctx context.Context, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(p.assets, "kubectl"), args...)
	// The user's own settings stay out of it, and so does their discovery cache: it is kept by address, and
	// addresses of other planes come back.
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+p.Kubeconfig(),
		"KUBECACHEDIR="+filepath.Join(p.dir, "kubectl-cache"),
		"KUBERC=off")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaint
	if err := cmd.Run(); err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
		return out.String(), complaint.String(), err
	}
	return out.String(), complaint.String(), nil
}

// WriteKubeconfig writes the file with which a program is the user of a configuration, such as one that AddUser or
// ServiceAccount returned.
func WriteKubeconfig(path string, config *rest.Config) error {
	const name = "plane"
	file := clientcmdapi.NewConfig()
	file.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken}
	file.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: "default"}
	file.CurrentContext = name
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
