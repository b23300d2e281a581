package certs

import "github.com/prometheus/client_golang/prometheus"

// The certificate as it is when the metrics are read. An alert goes by the timestamp, as for other certificates of a cluster:
// it needs no fresh sample, and says the same on every replica. The seconds left are by the API server's clock,
// which decides about readiness, too.
var (
	expiry = prometheus.NewDesc("sluice_certificate_expiry_timestamp_seconds",
		"When the certificate that is served ends, in seconds since 1970.", nil, nil)
	remaining = prometheus.NewDesc("sluice_certificate_remaining_seconds",
		"Seconds until the certificate that is served ends, by the API server's clock; negative once it has.", nil, nil)
	valid = prometheus.NewDesc("sluice_certificate_valid",
		"1 if the API server can accept the certificate that is served, else 0: readyz has the reason.", nil, nil)
	uninjected = prometheus.NewDesc("sluice_webhooks_without_ca_bundle",
		"Webhooks whose caBundle is empty: nobody has injected one yet, and the API server can't call them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c Check) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{expiry, remaining, valid, uninjected} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector. What is not known has no sample.
func (c Check) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	if leaf, _, err := c.served(); err == nil {
		gauge(expiry, float64(leaf.NotAfter.Unix()))
		gauge(remaining, leaf.NotAfter.Sub(c.Now()).Seconds())
	}
	accepted := 0.0
	if c.Ready(nil) == nil {
		accepted = 1
	}
	gauge(valid, accepted)
	if hooks, err := c.Hooks(); err == nil {
		missing := 0
		for _, hook := range hooks {
			if len(hook.CABundle) == 0 {
				missing++
			}
		}
		gauge(uninjected, float64(missing))
	}
}
