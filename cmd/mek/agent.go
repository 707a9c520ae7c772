package main

import (
	"context"

	"github.com/mekcloud/mek/internal/app"
)

// runAgent is the process on a host.
func runAgent(ctx context.Context, g *global) error {
	conf, log, err := g.load()
	if err != nil {
		return err
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	return app.RunAgent(ctx, conf.Agent(), log)
}

// runSimulatedAgent is the process of a host that exists in memory only.
func runSimulatedAgent(ctx context.Context, g *global) error {
	conf, log, err := g.load()
	if err != nil {
		return err
	}
	return app.RunSimulatedAgent(ctx, conf.Agent(), log)
}
