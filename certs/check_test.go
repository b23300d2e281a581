package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const serviceName = "sluice-webhook.sluice-system.svc"

func issue(t *testing.T, names ...string) (Issued, *tls.Certificate) {
	t.Helper()
	issued, err := Issue(time.Hour, names...)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(issued.Cert, issued.Key)
	if err != nil {
		t.Fatal(err)
	}
	return issued, &certificate
}

func TestReadyGoesByWhatIsServed(t *testing.T) {
	issued, certificate := issue(t, serviceName)
	other, misnamed := issue(t, "sluice-webhook.sluice-system.svc.cluster.local")
	leaf, _ := x509.ParseCertificate(certificate.Certificate[0])
	hooks := func(bundles ...[]byte) (out []Hook) {
		for _, bundle := range bundles {
			out = append(out, Hook{Name: "validate.sluice.dev", CABundle: bundle})
		}
		return out
	}
	both := slices.Concat(other.CA, issued.CA)
	tests := map[string]struct {
		certificate *tls.Certificate
		err         error
		at          time.Time
		hooks       []Hook
		hooksErr    error
		says        string
	}{
		"signed by the CA":          {hooks: hooks(issued.CA)},
		"signed by one of two":      {hooks: hooks(both)},
		"first moment":              {hooks: hooks(issued.CA), at: leaf.NotBefore},
		"last moment":               {hooks: hooks(issued.CA), at: leaf.NotAfter},
		"early":                     {hooks: hooks(issued.CA), at: leaf.NotBefore.Add(-time.Second), says: "not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)},
		"expired":                   {hooks: hooks(issued.CA), at: leaf.NotAfter.Add(time.Second), says: "expired at " + leaf.NotAfter.UTC().Format(time.RFC3339)},
		"none":                      {certificate: &tls.Certificate{}, says: "no serving certificate"},
		"unreadable":                {err: errors.New("no file"), says: "no file"},
		"garbage":                   {certificate: &tls.Certificate{Certificate: [][]byte{{1}}}, says: "x509"},
		"another name":              {certificate: misnamed, hooks: hooks(other.CA), says: "wrong name"},
		"another name, no bundle":   {certificate: misnamed, hooks: hooks(nil), says: "wrong name"},
		"another CA":                {hooks: hooks(other.CA), says: "caBundle of webhook validate.sluice.dev: x509: certificate signed by unknown authority"},
		"another CA for one of two": {hooks: hooks(issued.CA, other.CA), says: "unknown authority"},
		"not injected":              {hooks: hooks(nil)},
		"one of two injected":       {hooks: hooks(issued.CA, nil)},
		"wrong one of two injected": {hooks: hooks(nil, other.CA), says: "unknown authority"},
		"no configuration":          {},
		"no PEM in the bundle":      {hooks: hooks([]byte("Cg==")), says: "holds no certificate"},
		"configuration unreadable":  {hooksErr: errors.New("not synced"), says: "not synced"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.certificate == nil {
				test.certificate = certificate
			}
			if test.at.IsZero() {
				test.at = time.Now()
			}
			check := Check{
				Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return test.certificate, test.err },
				Name:        serviceName,
				Hooks:       func() ([]Hook, error) { return test.hooks, test.hooksErr },
				Now:         func() time.Time { return test.at },
			}
			err := check.Ready(nil)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if valid := collected(t, check)["sluice_certificate_valid"]; (valid == 1) != (test.says == "") {
				t.Errorf("the metric says %v", valid)
			}
		})
	}
}

func TestMetricsShowTheServedCertificate(t *testing.T) {
	_, certificate := issue(t, serviceName)
	leaf, _ := x509.ParseCertificate(certificate.Certificate[0])
	check := Check{
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
		Name:        serviceName,
		Hooks:       func() ([]Hook, error) { return []Hook{{CABundle: nil}, {CABundle: []byte("x")}, {}}, nil },
		Now:         func() time.Time { return leaf.NotAfter.Add(-90 * time.Second) },
	}
	got := collected(t, check)
	want := map[string]float64{
		"sluice_certificate_expiry_timestamp_seconds": float64(leaf.NotAfter.Unix()), "sluice_certificate_remaining_seconds": 90,
		"sluice_certificate_valid": 0, "sluice_webhooks_without_ca_bundle": 2, // one of the three bundles is garbage
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	check.Certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }
	check.Hooks = func() ([]Hook, error) { return nil, errors.New("not synced") }
	if got := collected(t, check); !maps.Equal(got, map[string]float64{"sluice_certificate_valid": 0}) {
		t.Errorf("what is not known has no sample: %v", got)
	}
}

// collected are the gauges of a collector, which bear names by the conventions.
func collected(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	values := map[string]float64{}
	for _, family := range families {
		values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
	}
	return values
}
