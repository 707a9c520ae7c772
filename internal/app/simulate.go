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
	s, err := NewSimulation(ctx, n, log)
	if err != nil {
		return nil, err
	}
	if err := s.Join(ctx, h); err != nil {
		s.Close()
		return nil, err
	}
	return s.Close, nil
}

// Simulation is a number of simulated hosts. They outlive the server that they
// have joined, as real ones do.
type Simulation struct {
	hosts   []*simulated
	running errgroup.Group
	cancel  context.CancelFunc
	log     *slog.Logger
}

// NewSimulation starts n hosts that have joined nothing yet.
func NewSimulation(ctx context.Context, n int, log *slog.Logger) (*Simulation, error) {
	all := &Simulation{log: log}
	ctx, all.cancel = context.WithCancel(ctx)
	for i := range n {
		s, err := simulate(ctx, fmt.Sprintf("sim-%d", i+1), &hostlink.Relay{}, log)
		if err != nil {
			all.Close()
			return nil, err
		}
		all.hosts = append(all.hosts, s)
		all.running.Go(func() error { return s.agent.Run(ctx) })
	}
	return all, nil
}

// Join connects all hosts with a server.
func (all *Simulation) Join(ctx context.Context, h *hub.Hub) (err error) {
	for _, s := range all.hosts {
		if s.leave, err = inproc.Join(ctx, h, s.agent); err != nil {
			all.Leave()
			return err
		}
	}
	return nil
}

// Leave ends the connections of all hosts.
func (all *Simulation) Leave() {
	for _, s := range all.hosts {
		if s.leave != nil {
			s.leave()
			s.leave = nil
		}
	}
}

// Close ends the hosts and waits.
func (all *Simulation) Close() {
	for _, s := range all.hosts {
		s.close()
	}
	all.cancel()
	if err := all.running.Wait(); err != nil {
		all.log.Error("a simulated host ended", "error", err)
	}
}

func simulate(ctx context.Context, name string, relay *hostlink.Relay, log *slog.Logger) (*simulated, error) {
	s := &simulated{driver: guestsim.New(guestsim.Config{Clock: clock.Real{}}), volumes: volumes.New(disksim.New(disksim.Config{}), clock.Real{}, log)}
	s.guests = guests.New(s.driver, clock.Real{}, log)
	s.guests.Ask(relay)
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
