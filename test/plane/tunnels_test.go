package plane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fixedServices lists what it holds, or fails.
type fixedServices struct {
	client.Reader
	services []corev1.Service
	err      error
}

func (f fixedServices) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*corev1.ServiceList).Items = f.services
	return f.err
}

func TestResolve(t *testing.T) {
	gate := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: "gate"},
		Spec:       corev1.ServiceSpec{ClusterIPs: []string{"10.0.0.7", "fd00::7"}},
	}
	quiet := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sluice-system", Name: "quiet"},
		Spec:       corev1.ServiceSpec{ClusterIPs: []string{"10.0.0.8"}},
	}
	const local = "127.0.0.1:9443"
	tests := []struct {
		name, target, want, wantErr string
		services                    client.Reader
	}{
		{name: "cluster IP", target: "10.0.0.7:443", want: local},
		{name: "second family", target: "[fd00::7]:443", want: local},
		{name: "another port of the Service", target: "10.0.0.7:8443", want: local},
		{name: "DNS name", target: "gate.sluice-system.svc:443", want: local},
		{name: "whole DNS name", target: "gate.sluice-system.svc.cluster.local:443", want: local},
		{name: "IP of no Service", target: "10.0.0.70:443", wantErr: "10.0.0.70 is no Service's cluster IP"},
		{name: "no route", target: "10.0.0.8:443", wantErr: "Service sluice-system/quiet has no route: call Plane.Route"},
		{name: "name outside the cluster", target: "gate.example.com:443",
			wantErr: "gate.example.com is not <service>.<namespace>.svc"},
		{name: "no port", target: "10.0.0.7", wantErr: "not host:port: address 10.0.0.7: missing port in address"},
		{name: "list fails", target: "10.0.0.7:443", services: fixedServices{err: errors.New("gone")},
			wantErr: "list Services: gone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			routes := newRoutes()
			routes.set(types.NamespacedName{Namespace: "sluice-system", Name: "gate"}, []string{local})
			routes.lookIn(fixedServices{services: []corev1.Service{quiet, gate}})
			if test.services != nil {
				routes.lookIn(test.services)
			}
			got, err := routes.resolve(t.Context(), test.target)
			if got != test.want || message(err) != test.wantErr {
				t.Errorf("resolve(%q) = %q, %q; want %q, %q", test.target, got, message(err), test.want, test.wantErr)
			}
		})
	}
}

// Of several addresses each has its turn, and one where nobody listens is passed over.
func TestResolveSeveral(t *testing.T) {
	var live []string
	for range 2 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		live = append(live, listener.Addr().String())
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	routes := newRoutes()
	routes.set(types.NamespacedName{Namespace: "sluice-system", Name: "gate"}, append(live, dead.Addr().String()))
	routes.lookIn(fixedServices{})
	seen := map[string]int{}
	for range 12 {
		got, err := routes.resolve(t.Context(), "gate.sluice-system.svc:443")
		if err != nil {
			t.Fatal(err)
		}
		seen[got]++
	}
	if seen[live[0]] < 4 || seen[live[1]] < 4 || seen[dead.Addr().String()] > 0 {
		t.Errorf("got %v, want each of %v about as often, and never %s", seen, live, dead.Addr())
	}
}

func TestResolveBeforeTheStart(t *testing.T) {
	_, err := newRoutes().resolve(t.Context(), "10.0.0.7:443")
	if want := "the control plane is still starting"; message(err) != want {
		t.Errorf("got %q, want %q", message(err), want)
	}
}

func TestTunnel(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // a broken echo fails the test
			}()
		}
	}()
	resolve := func(_ context.Context, target string) (string, error) {
		if target != "10.0.0.7:443" {
			return "", errors.New("no\nsuch place")
		}
		return echo.Addr().String(), nil
	}
	proxy, err := listenTunnels(t.Context(), filepath.Join(t.TempDir(), "s"), resolve)
	if err != nil {
		t.Fatal(err)
	}

	conn, answer := request(t, proxy.socket, "CONNECT 10.0.0.7:443 HTTP/1.1\r\nHost: x\r\n\r\nping")
	if answer != "200 OK" {
		t.Fatalf("known target: %s", answer)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Errorf("echo gave %q, %v", got, err)
	}
	for text, want := range map[string]string{
		"CONNECT 10.0.0.8:443 HTTP/1.1\r\nHost: x\r\n\r\n": "502 connect to 10.0.0.8:443: no such place",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                "502 only CONNECT is served here",
	} {
		if _, answer := request(t, proxy.socket, text); answer != want {
			t.Errorf("%q: got %q, want %q", text, answer, want)
		}
	}

	if err := proxy.close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(got); err == nil {
		t.Error("close left a connection open")
	}
}

func TestTunnelSocketPathTooLong(t *testing.T) {
	_, err := listenTunnels(t.Context(), "/"+strings.Repeat("x", maxSocketPath), nil)
	if err == nil || !strings.Contains(err.Error(), "shorter TMPDIR") {
		t.Errorf("got %v", err)
	}
}

// request returns what follows the head of the answer, and the answer's status.
func request(t *testing.T, socket, text string) (io.Reader, string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprint(conn, text); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	return reader, response.Status
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
