package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-gate/sluice/cmd/serve"
)

func TestObserveFlags(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		flags observeFlags
		says  string // empty if they are fine
	}{
		"none":                     {observeFlags{tracingRatio: 1}, ""},
		"all":                      {observeFlags{decisionLog: filepath.Join(dir, "log"), decisionObjects: true, decisionMasks: []string{"/a", "b"}, tracing: "https://c:4318/x", pprof: "127.0.0.1:0"}, ""},
		"stdout":                   {observeFlags{decisionLog: "stdout"}, ""},
		"a folder":                 {observeFlags{decisionLog: dir}, "--decision-log \"" + dir + "\": it is a folder"},
		"a folder that is missing": {observeFlags{decisionLog: filepath.Join(dir, "x", "log")}, "want stdout or a file in a folder that exists"},
		"objects, but no log":      {observeFlags{decisionObjects: true}, "--decision-log has to say where"},
		"masks, but no log":        {observeFlags{decisionMasks: []string{"/a"}}, "--decision-log has to say where"},
		"a bad mask":               {observeFlags{decisionLog: "stdout", decisionMasks: []string{"a b"}}, `--decision-log-mask: "a b": expected a JSON pointer`},
		"no URL":                   {observeFlags{tracing: "collector:4318"}, `--tracing-endpoint "collector:4318": want a URL`},
		"gRPC":                     {observeFlags{tracing: "grpc://collector:4317"}, "want a URL with http or https"},
		"no host":                  {observeFlags{tracing: "http:///v1/traces"}, "and a host"},
		"a share above 1":          {observeFlags{tracingRatio: 1.5}, "--tracing-sampling-ratio 1.5: want 0 to 1"},
		"a negative share":         {observeFlags{tracingRatio: -0.1}, "want 0 to 1"},
		"pprof off":                {observeFlags{pprof: "0"}, ""},
		"pprof on localhost":       {observeFlags{pprof: "localhost:6060"}, ""},
		"pprof on ::1":             {observeFlags{pprof: "[::1]:6060"}, ""},
		"pprof on 127.1.2.3":       {observeFlags{pprof: "127.1.2.3:6060"}, ""},
		"pprof everywhere":         {observeFlags{pprof: ":6060"}, `--pprof-bind-address ":6060": want a loopback address`},
		"pprof on 0.0.0.0":         {observeFlags{pprof: "0.0.0.0:6060"}, "want a loopback address"},
		"pprof on a pod's address": {observeFlags{pprof: "10.0.0.1:6060"}, "want a loopback address"},
		"pprof on a name":          {observeFlags{pprof: "localhost.example.com:6060"}, "want a loopback address"},
		"pprof without a port":     {observeFlags{pprof: "127.0.0.1"}, "want host:port"},
		"pprof on a bad port":      {observeFlags{pprof: "127.0.0.1:x"}, `port "x": want a number`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.flags.apply(&serve.Options{})
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}
