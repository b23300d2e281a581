package installed

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metric adds up the values of a counter or gauge that have these labels; 0 if there is none.
func Metric(registry *prometheus.Registry, name string, labels map[string]string) float64 {
	families, err := registry.Gather()
	if err != nil {
		panic(err) // of a registry of our own
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			matching := 0
			for _, pair := range metric.GetLabel() {
				if want, asked := labels[pair.GetName()]; asked && want == pair.GetValue() {
					matching++
				}
			}
			if matching == len(labels) {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return sum
}
