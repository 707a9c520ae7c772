package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/guests"
	"github.com/mekcloud/mek/internal/agent/metadata"
	"github.com/mekcloud/mek/internal/agent/ports"
	"github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage/disk/files"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qemu"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/image/worker"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/hostnet/ovs"
)

// host is everything an agent drives, opened in order and closed backwards.
type host struct {
	cfg    config.Agent
	log    *slog.Logger
	clock  clock.Clock
	relay  *hostlink.Relay
	facts  hostlink.Facts
	ledger *ledger.Ledger
	net    *ovs.Driver
	netCfg ovs.Config
	disks  *files.Driver
	qemu   *qemu.Driver

	guests  *guests.Applier
	ports   *ports.Applier
	volumes *volumes.Applier
	close   []func()
}

// RunAgent is the process "mek agent": it makes this host as the server wants
// it, and goes on from its journal while the server is away.
func RunAgent(ctx context.Context, cfg config.Agent, log *slog.Logger) error {
	if err := os.Remove(cfg.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale ready file: %w", err)
	}
	h := &host{cfg: cfg, log: log, clock: clock.Real{}, relay: &hostlink.Relay{}}
	defer func() {
		for i := len(h.close) - 1; i >= 0; i-- {
			h.close[i]()
		}
	}()
	for _, open := range []func(context.Context) error{h.openSelf, h.openNetwork, h.openDisks, h.openGuests} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	journal, err := agent.OpenJournal(cfg.StateDir)
	if err != nil {
		return err
	}
	defer journal.Close()
	core := agent.New(agent.Config{Facts: h.facts, Journal: journal, Relay: h.relay, Clock: h.clock, Log: log,
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Guests: h.guests, hostlink.Ports: h.ports, hostlink.Volumes: h.volumes}})
	return h.run(ctx, core)
}

func (h *host) run(ctx context.Context, core *agent.Agent) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return core.Run(ctx) })
	group.Go(func() error { return joinServers(ctx, h.cfg, core, h.relay, h.log) })
	group.Go(func() error { return h.serveMetadata(ctx) })
	group.Go(func() error { return returnMemory(ctx, clock.Real{}) })
	if h.cfg.Joined() {
		group.Go(func() error { return h.carrySouthbound(ctx) })
	}
	return group.Wait()
}

func (h *host) openSelf(context.Context) (err error) {
	for _, dir := range []string{h.cfg.StateDir, h.cfg.InstanceDir, h.cfg.VolumeDir, h.cfg.Sockets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("directories of the agent: %w", err)
		}
	}
	if h.facts, err = agent.Measure(h.cfg.StateDir); err != nil {
		return err
	}
	if h.facts.ID, err = agent.Identity(h.cfg.StateDir); err != nil {
		return err
	}
	h.facts.Host, h.facts.Address = h.cfg.HostName, "127.0.0.1"
	if h.cfg.Network.TunnelAddress != "" {
		h.facts.Address = h.cfg.Network.TunnelAddress
	}
	h.ledger, err = ledger.Open(h.cfg.LedgerFile, h.clock)
	return err
}

func (h *host) openNetwork(ctx context.Context) (err error) {
	kernel, reason := engines.KernelDatapath(ctx)
	h.log.Info("datapath of the switch", "kernel", kernel, "reason", reason)
	if h.netCfg, err = plan.HostSwitch(h.cfg, !kernel, networkLedger{h.ledger}, h.log); err != nil {
		return err
	}
	if h.net, err = ovs.Open(ctx, h.netCfg); err != nil {
		return fmt.Errorf("the host's switch: %w", err)
	}
	h.close = append(h.close, h.net.Close)
	h.ports = ports.New(h.net, h.log)
	return nil
}

func (h *host) openDisks(ctx context.Context) error {
	sandbox, err := worker.New(ctx, worker.Options{Self: []string{"mek", imageWorker}})
	if err != nil {
		return fmt.Errorf("sandbox for images: %w", err)
	}
	h.disks, err = files.New(files.Config{Dir: h.cfg.VolumeDir, Images: imageFetcher{h.relay}, Converter: converter{sandbox}, Guests: openDisks{h},
		Peers: volumes.Peers{Upstream: h.relay}})
	if err != nil {
		return err
	}
	h.volumes = volumes.New(h.disks, h.clock, h.log)
	h.close = append(h.close, h.volumes.Close)
	return nil
}

func (h *host) openGuests(ctx context.Context) (err error) {
	h.qemu, err = qemu.New(ctx, qemu.Config{Dir: h.cfg.InstanceDir, RunDir: h.cfg.Sockets, Cloud: h.cfg.Hash, Images: imageSource{h.relay},
		Volumes: volumeFiles{h.disks}, Taps: taps{h.net}, Binary: h.cfg.Compute.Emulator, Accel: accelerator(h.cfg.Compute.Accelerator),
		ProbeKernel: firstFile(h.cfg.Path("guest", "vmlinuz"), "/boot/vmlinuz"),
		DiskBytes:   int64(h.cfg.Compute.DiskMiB) << 20, DiskRequests: int64(h.cfg.Compute.DiskRequests), Clock: h.clock, Log: h.log})
	if err != nil {
		return fmt.Errorf("guests: %w", err)
	}
	h.close = append(h.close, func() {
		if err := h.qemu.Close(); err != nil {
			h.log.Warn("closing the driver of guests", "error", err)
		}
	})
	can, err := h.qemu.Capabilities(ctx)
	if err != nil {
		return fmt.Errorf("what this host can do: %w", err)
	}
	addCapabilities(&h.facts, can)
	h.guests = guests.New(h.qemu, h.clock, h.log)
	h.guests.Ask(relayTeller{h.relay})
	h.close = append(h.close, h.guests.Close)
	return nil
}

// taps are the switch's, held to what guests' flavors say.
type taps struct{ net *ovs.Driver }

func (t taps) OpenTap(ctx context.Context, portID string, l guest.Limits) (*os.File, error) {
	err := t.net.Cap(ctx, portID, hostnet.Caps{OutBytes: l.PortOutBytesSecond, OutBurst: l.PortOutBurstBytes,
		InBytes: l.PortInBytesSecond, InPeak: l.PortInPeakBytesSecond, InBurst: l.PortInBurstBytes})
	if err != nil {
		return nil, err
	}
	return t.net.OpenTap(ctx, portID)
}

func (t taps) Wired(ctx context.Context, portID string) error { return t.net.Wired(ctx, portID) }

func accelerator(word string) string {
	if word == "auto" {
		return ""
	}
	return word
}

func firstFile(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// serveMetadata answers guests for as long as the agent runs.
func (h *host) serveMetadata(ctx context.Context) error {
	listener, err := net.Listen("tcp", h.netCfg.MetadataListen().String())
	if err != nil {
		return fmt.Errorf("metadata listener: %w", err)
	}
	return metadata.New(h.ports, h.guests, relayTeller{h.relay}, h.log).Serve(ctx, listener)
}

// networkLedger writes the switch's changes of the host into the ledger.
type networkLedger struct{ ledger *ledger.Ledger }

func (l networkLedger) Record(_ context.Context, changes ...hostnet.Change) error {
	all := make([]ledger.Change, len(changes))
	for i, c := range changes {
		all[i] = ledger.Change{Kind: ledger.Kind(c.Kind), Name: c.Name, Old: c.Before}
	}
	return l.ledger.Record(all...)
}

func (l networkLedger) Forget(_ context.Context, kind string, names ...string) error {
	return l.ledger.Forget(ledger.Kind(kind), names...)
}
