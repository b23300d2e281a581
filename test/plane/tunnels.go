package plane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// dialTimeout bounds finding and reaching the local address; the API server waits 10 s for a webhook by default.
	dialTimeout = 5 * time.Second
	// maxSocketPath is what the smallest of the usual systems allows for the path of a unix socket.
	maxSocketPath = 103
)

// resolver returns the local address to dial for a host:port that was asked for, or why there is none.
type resolver func(ctx context.Context, target string) (localAddr string, err error)

// tunnels is an HTTP CONNECT proxy on a unix socket. It connects to what its resolver returns and to nothing else. The
// reason for a refusal is in the status line, from where the API server copies it into its own error.
type tunnels struct {
	socket   string
	listener net.Listener
	resolve  resolver
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// listenTunnels serves until close is called, also when ctx ends before.
func listenTunnels(ctx context.Context, socket string, resolve resolver) (*tunnels, error) {
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("listen for the API server: %s is too long for a socket: set a shorter TMPDIR", socket)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the API server: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &tunnels{socket: socket, listener: listener, resolve: resolve, ctx: ctx, cancel: cancel}
	t.running.Go(t.accept)
	return t, nil
}

// close cuts all connections and waits until nothing runs any more.
func (t *tunnels) close() error {
	t.cancel()
	err := t.listener.Close()
	t.running.Wait()
	if err != nil {
		return fmt.Errorf("close the proxy: %w", err)
	}
	return nil
}

func (t *tunnels) accept() {
	for {
		conn, err := t.listener.Accept()
		if err != nil {
			return // closed, or of no more use: the API server then reports that it can't connect
		}
		t.running.Go(func() { t.serve(conn) })
	}
}

// serve answers one CONNECT and then copies both ways until either side ends or close is called.
func (t *tunnels) serve(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(t.ctx, func() { conn.Close() })()

	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return // no HTTP: nobody to tell
	}
	upstream, err := t.dial(request)
	if err != nil {
		reason := strings.Join(strings.Fields(err.Error()), " ")
		fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", http.StatusBadGateway, reason)
		return
	}
	defer upstream.Close()
	defer context.AfterFunc(t.ctx, func() { upstream.Close() })()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { transfer(conn, upstream) })
	transfer(upstream, reader)
	back.Wait()
}

func (t *tunnels) dial(request *http.Request) (net.Conn, error) {
	if request.Method != http.MethodConnect {
		return nil, errors.New("only CONNECT is served here")
	}
	ctx, cancel := context.WithTimeout(t.ctx, dialTimeout)
	defer cancel()
	local, err := t.resolve(ctx, request.Host)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", request.Host, err)
	}
	var dialer net.Dialer
	upstream, err := dialer.DialContext(ctx, "tcp", local)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", request.Host, err)
	}
	return upstream, nil
}

// transfer copies until from ends and then tells to. A failed copy ends the connection just as well, and its two
// ends see that themselves.
func transfer(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	to.Close()
}

// writeEgressConfiguration makes the API server use the socket for everything it dials inside the cluster. What it
// dials by URL, and etcd, it reaches directly.
func writeEgressConfiguration(dir, socket string) (path string, err error) {
	path = filepath.Join(dir, "egress.yaml")
	content := fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %q
`, socket)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write the egress configuration: %w", err)
	}
	return path, nil
}
