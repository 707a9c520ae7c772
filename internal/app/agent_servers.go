package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/remote"
)

// joinServers keeps an agent connected with every server of the cloud, each by
// a connection of its own: any of them may die, hang or be unreachable without
// the others noticing. Servers that were added later are learned from those that
// are known, and remembered. The ready file is written once one took the host in.
func joinServers(ctx context.Context, cfg config.Agent, a remote.Agent, relay *hostlink.Relay, log *slog.Logger) error {
	base, err := busTLS(cfg.Bus)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	m := &memberships{file: cfg.Path("agent", serversFile), own: cfg.HostName, relay: relay, log: log, leads: map[string]string{}, learned: map[string]context.CancelFunc{}}
	m.connect = func(ctx context.Context, address string) error {
		c := remote.AgentConfig{Agent: a, Control: address, TLS: base.Clone(), Log: log.With("server", address)}
		if address == cfg.Bus.Listen {
			c.Streams = cfg.Bus.Streams
		}
		var err error
		if c.TLS.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return fmt.Errorf("address of the bus: %w", err)
		}
		c.TLS.VerifyConnection = func(s tls.ConnectionState) error { m.met(address, s); return nil }
		return remote.Run(ctx, c)
	}
	for _, address := range cfg.Bus.Servers {
		group.Go(func() error { return m.connect(ctx, address) })
	}
	group.Go(func() error { return m.learn(ctx) })
	group.Go(func() error { return announceWhenLinked(ctx, cfg, relay) })
	return group.Wait()
}

// announceWhenLinked writes the ready file once a server took us in.
func announceWhenLinked(ctx context.Context, cfg config.Agent, relay *hostlink.Relay) error {
	for {
		if _, err := relay.Current(); err == nil {
			return announce(cfg.ReadyFile, cfg.HostName)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.Real{}.After(50 * time.Millisecond):
		}
	}
}
