package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/sluice-gate/sluice/cmd/serve"
	"github.com/sluice-gate/sluice/webhook/decisionlog"
)

// observeFlags are those of `sluice serve` that say who is told of reviews, beside the log and the metrics.
type observeFlags struct {
	decisionLog     string
	decisionObjects bool
	decisionMasks   []string
	tracing         string
	tracingRatio    float64
	pprof           string
}

func (f *observeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.decisionLog, "decision-log", "", "stdout, or a file that is appended to: one line of JSON for each review; it may be moved away, or copied and truncated (default none)")
	flags.BoolVar(&f.decisionObjects, "decision-log-objects", false, "log the objects, too; the values of Secrets never are")
	flags.StringSliceVar(&f.decisionMasks, "decision-log-mask", nil, "what of objects is not logged, nor repeated by messages: JSON pointers (/spec/tls/*/secretName) or annotations (example.com/token-*)")
	flags.StringVar(&f.tracing, "tracing-endpoint", "", "URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://collector:4318: one span for each review, below the API server's if it traces (default none)")
	flags.Float64Var(&f.tracingRatio, "tracing-sampling-ratio", 1, "share of reviews that are traced, 0 to 1, where the API server has not decided")
	flags.StringVar(&f.pprof, "pprof-bind-address", "", "host:port of /debug/pprof on a loopback address, such as 127.0.0.1:6060 (default none)")
}

// apply checks the flags and puts what they say into the options.
func (f *observeFlags) apply(o *serve.Options) error {
	masks, err := decisionlog.ParseMasks(f.decisionMasks)
	if err != nil {
		return fmt.Errorf("--decision-log-mask: %w", err)
	}
	if f.decisionLog == "" && (f.decisionObjects || len(f.decisionMasks) > 0) {
		return errors.New("--decision-log-objects and --decision-log-mask say what is logged: --decision-log has to say where")
	}
	if err := logFile(f.decisionLog); err != nil {
		return fmt.Errorf("--decision-log %q: %w", f.decisionLog, err)
	}
	if err := collector(f.tracing); err != nil {
		return fmt.Errorf("--tracing-endpoint %q: %w", f.tracing, err)
	}
	if !(f.tracingRatio >= 0 && f.tracingRatio <= 1) || math.IsNaN(f.tracingRatio) {
		return fmt.Errorf("--tracing-sampling-ratio %v: want 0 to 1", f.tracingRatio)
	}
	if err := loopback(f.pprof); err != nil {
		return fmt.Errorf("--pprof-bind-address %q: %w", f.pprof, err)
	}
	o.DecisionLog = decisionlog.Options{Output: f.decisionLog, Objects: f.decisionObjects, Masks: masks}
	o.TracingEndpoint, o.TracingRatio, o.PprofAddress = f.tracing, f.tracingRatio, f.pprof
	return nil
}

// logFile refuses a path on which nothing can be appended to.
func logFile(path string) error {
	if path == "" || path == decisionlog.Stdout {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("it is a folder, want stdout or a file in it")
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("want stdout or a file in a folder that exists: %w", err)
	}
	return nil
}

func collector(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return errors.New("want a URL with http or https and a host, such as http://collector:4318")
	}
	return nil
}

// loopback refuses addresses that others than this host, or pod, reach: a profile tells what is in memory.
func loopback(address string) error {
	if address == "" || address == "0" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("want host:port, such as 127.0.0.1:6060: %w", err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q: want a number up to 65535", port)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
		return fmt.Errorf("want a loopback address, such as 127.0.0.1:6060: profiles tell what is in memory, kubectl port-forward reaches them")
	}
	return nil
}
