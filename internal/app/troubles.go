package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// troubles shows what went wrong and was mended, or is still to be: a fault that
// leaves no trace here is a defect (I-42).
type troubles struct {
	b                                           *builder
	tasks, looks, failedLooks, refusals, noRoom *prometheus.Desc
}

// showTroubles registers them, once everything is built.
func (b *builder) showTroubles() {
	lost := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mek_host_losses_total", Help: "Times that a host stopped answering, by host."}, []string{"host"})
	b.Hub.OnLease(func(host string, alive bool) {
		if !alive {
			lost.WithLabelValues(host).Inc()
		}
	})
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	b.Metrics.MustRegister(lost, troubles{b,
		desc("mek_task_troubles_total", "What went wrong with operations, by operation and what was done about it.", "operation", "what"),
		desc("mek_reconciler_runs_total", "Runs of what keeps things true.", "name"),
		desc("mek_reconciler_failures_total", "Runs of what keeps things true that failed and are tried again.", "name"),
		desc("mek_database_refusals_total", "Changes that the database could not take: no room, no answer."),
		desc("mek_database_full", "1 while new work is refused because the disk of the database is full.")})
}

// Describe implements prometheus.Collector.
func (t troubles) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{t.tasks, t.looks, t.failedLooks, t.refusals, t.noRoom} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (t troubles) Collect(to chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, one := range t.b.tasks.Troubles() {
		count(t.tasks, one.Times, one.Op, one.What)
	}
	for _, l := range t.b.loops {
		for _, s := range l.Stats() {
			count(t.looks, s.Runs, s.Name)
			count(t.failedLooks, s.Failures, s.Name)
		}
	}
	count(t.refusals, t.b.DB.Counts().Refused)
	full := 0.0
	if t.b.DB.Full() {
		full = 1
	}
	to <- prometheus.MustNewConstMetric(t.noRoom, prometheus.GaugeValue, full)
}
