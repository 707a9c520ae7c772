package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/hostlink"
)

// RunSimulatedAgent is the process "mek agent --simulate": a host whose guests,
// ports and volumes are in memory, which joins its servers as a real one does.
// They are gone with the process.
func RunSimulatedAgent(ctx context.Context, cfg config.Agent, log *slog.Logger) error {
	if err := os.Remove(cfg.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale ready file: %w", err)
	}
	relay := &hostlink.Relay{}
	s, err := simulate(ctx, cfg.HostName, relay, log)
	if err != nil {
		return err
	}
	defer s.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.agent.Run(ctx) })
	group.Go(func() error { return joinServers(ctx, cfg, s.agent, relay, log) })
	return group.Wait()
}
