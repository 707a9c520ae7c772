package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/mekcloud/mek/internal/app"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/pki"
)

func routesCommand(*global) *cobra.Command {
	return &cobra.Command{Use: "routes", Short: "Every operation that is built: SERVICE METHOD PATH [ACTION]", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			lines, err := routes(c.Context())
			if err != nil {
				return err
			}
			for _, l := range lines {
				fmt.Println(l)
			}
			return nil
		}}
}

// routes builds a control plane on an empty database, which nothing runs, and
// asks it what it serves. No cloud is needed.
func routes(ctx context.Context) ([]string, error) {
	dir, err := os.MkdirTemp("", "mek-routes-")
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	defer os.RemoveAll(dir)
	conf := config.Default(dir)
	conf.Simulate, conf.InsecureHTTP, conf.Listen = 1, true, "127.0.0.1:0"
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(ctx, "sqlite://"+filepath.Join(dir, "mek.db"))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	h := hub.New(hub.Config{Clock: clock.Real{}, Log: log})
	defer h.Close()
	b := config.Bootstrap{AdminPassword: id.Secret(18), DemoPassword: id.Secret(18), ServicePassword: id.Secret(18)}
	cloud, err := app.Build(ctx, app.Parts{Config: conf.Server(), DB: d, Clock: clock.Real{}, Log: log, Hub: h, Master: id.Bytes(pki.MasterKeySize),
		Bootstrap: b, Metrics: prometheus.NewRegistry()})
	if err != nil {
		return nil, err
	}
	lines := slices.Clone(cloud.Listed)
	for _, s := range cloud.REST.Services() {
		lines = append(lines, s.List()...)
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}
