package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/guests"
	"github.com/mekcloud/mek/internal/agent/ports"
	"github.com/mekcloud/mek/internal/agent/volumes"
	disksim "github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/clock"
	guestsim "github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/id"
	netsim "github.com/mekcloud/mek/internal/network/hostnet/sim"
)

// The size of a simulated host.
const (
	simCPUs      = 64
	simMemoryMiB = 256 << 10
	simDiskGiB   = 4096
)

// simulated is one host in this process.
type simulated struct {
	guests  *guests.Applier
	driver  *guestsim.Driver
	volumes *volumes.Applier
	agent   *agent.Agent
	leave   func()
}

// Simulate joins n simulated hosts to a hub, in this process. They keep
// guests, ports and volumes in memory and say "sim" of themselves. leave ends
// them and waits.
func Simulate(ctx context.Context, h *hub.Hub, n int, log *slog.Logger) (leave func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var hosts []*simulated
	var running errgroup.Group
	leave = func() {
		for _, s := range hosts {
			s.close()
		}
		cancel()
		if err := running.Wait(); err != nil {
			log.Error("a simulated host ended", "error", err)
		}
	}
	for i := range n {
		s, err := simulate(ctx, fmt.Sprintf("sim-%d", i+1), &hostlink.Relay{}, log)
		if err != nil {
			leave()
			return nil, err
		}
		hosts = append(hosts, s)
		running.Go(func() error { return s.agent.Run(ctx) })
		if s.leave, err = inproc.Join(ctx, h, s.agent); err != nil {
			leave()
			return nil, err
		}
	}
	return leave, nil
}

func simulate(ctx context.Context, name string, relay *hostlink.Relay, log *slog.Logger) (*simulated, error) {
	s := &simulated{driver: guestsim.New(guestsim.Config{Clock: clock.Real{}}), volumes: volumes.New(disksim.New(disksim.Config{}), clock.Real{}, log)}
	s.guests = guests.New(s.driver, clock.Real{}, log)
	can, err := s.driver.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	facts := hostlink.Facts{Host: name, ID: id.Named(name), Arch: "x86_64", CPUs: simCPUs, MemoryMiB: simMemoryMiB, DiskGiB: simDiskGiB, Address: "127.0.0.1",
		More: map[string]string{"boot_time": clock.Real{}.Now().UTC().Format(time.RFC3339)}}
	addCapabilities(&facts, can)
	s.agent = agent.New(agent.Config{Facts: facts, Journal: agent.MemoryJournal(), Relay: relay, Log: log, Appliers: map[hostlink.Section]hostlink.Applier{
		hostlink.Guests: s.guests, hostlink.Ports: ports.New(netsim.New(), log), hostlink.Volumes: s.volumes}})
	return s, nil
}

func (s *simulated) close() {
	if s.leave != nil {
		s.leave()
	}
	s.guests.Close()
	s.volumes.Close()
	if err := s.driver.Close(); err != nil {
		slog.Warn("closing simulated guests", "error", err)
	}
}
