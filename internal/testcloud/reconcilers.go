package testcloud

import (
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/reconcile"
)

// Reconcilers lists everything that the cloud keeps true, from its registry.
func (c *Cloud) Reconcilers() []reconcile.Reconciler {
	var out []reconcile.Reconciler
	for _, l := range c.app.Loops {
		out = append(out, l.All()...)
	}
	return out
}

// Metric sums the samples of a metric whose labels have these values.
func (c *Cloud) Metric(name string, labels ...string) (sum float64) {
	c.t.Helper()
	families, err := c.metric.Gather()
	must(c.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	samples:
		for _, m := range f.GetMetric() {
			for i, l := range m.GetLabel() {
				if i < len(labels) && labels[i] != "" && l.GetValue() != labels[i] {
					continue samples
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// Configured changes the configuration of a cloud before it starts.
func Configured(change func(*config.Config)) Option { return change }
