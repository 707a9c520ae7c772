package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mekcloud/mek/internal/backup"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/shipping"
)

// farBehind is how much of the log may lie unshipped before it is reported.
const farBehind = 10 * time.Second

var unshipped = check.Code{ID: "I-38/unshipped", Means: "the database's log does not reach the folder that it is shipped to: what it lacks is lost with the database",
	Remedy: "look at the folder of ship_to and at the log of mek server; it goes on by itself"}

// Behind is how much would be lost with the database now; shipping.Shipper.
type Behind interface {
	Behind() (time.Duration, error)
}

// ship begins to ship the database's log, when the operator wants it. It comes
// before everything else that opens the database; nil: there is nothing to do.
func ship(ctx context.Context, cfg config.Server, log *slog.Logger) (*shipping.Shipper, error) {
	path, lite := strings.CutPrefix(cfg.Database, "sqlite://")
	if cfg.ShipTo == "" || !lite {
		return nil, nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { // the first start
		if shipping.Is(cfg.ShipTo) {
			return nil, fmt.Errorf("the database %s is gone, and %s holds its log. An empty one would end that log: mek down, mek backup restore %s, mek up", path, cfg.ShipTo, cfg.ShipTo)
		}
		d, err := db.Open(ctx, cfg.Database)
		if err != nil {
			return nil, err
		}
		if err := d.Close(); err != nil {
			return nil, err
		}
	}
	master, err := pki.MasterKey(cfg.MasterKeyFile)
	if err != nil {
		return nil, err
	}
	c := shipping.Config{Database: path, Dir: cfg.ShipTo, Clock: clock.Real{}, Log: log,
		Manifest: shipping.Manifest{Format: shipping.Format, DataDir: cfg.DataDir, Host: cfg.HostName, MasterKey: backup.Fingerprint(master)}}
	if err := db.Glance(ctx, path, func(q db.Querier) (err error) {
		c.Epoch, err = hoststate.Epoch(ctx, q)
		return err
	}); err != nil {
		return nil, fmt.Errorf("ship log: %w", err)
	}
	return shipping.Start(ctx, c)
}

// stopShipping ships what the database wrote last.
func stopShipping(s *shipping.Shipper, log *slog.Logger) {
	if s == nil {
		return
	}
	if err := s.Close(); err != nil {
		log.Error("the end of the database's log was not shipped; the next start does it", "error", err)
	}
}

// watchShipping lets doctor and metrics see how far the log has come.
func (b *builder) watchShipping() {
	b.checks.Add(shippingCheck(b.Shipper))
	if b.Shipper == nil {
		return
	}
	b.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mek_log_behind_seconds", Help: "What would be lost with the database now."},
		func() float64 { behind, _ := b.Shipper.Behind(); return behind.Seconds() }))
}

// shippingCheck finds a log that is not shipped.
func shippingCheck(s Behind) check.Check {
	return check.Check{Name: "database/shipping", Codes: []check.Code{unshipped}, Run: func(_ context.Context, l *check.Look) error {
		if s == nil {
			return nil
		}
		if behind, err := s.Behind(); behind > farBehind {
			l.Report(unshipped, check.Of("database", "log"), "behind by %s: %v", behind.Round(time.Second), err)
		}
		return nil
	}}
}
