package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
)

// Simulate joins n simulated hosts to a hub, in this process. They keep their
// guests, ports and volumes in memory and say "sim" of themselves. leave ends them.
func Simulate(ctx context.Context, h *hub.Hub, n int, log *slog.Logger) (leave func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var leaves []func()
	leave = func() {
		for _, l := range leaves {
			l()
		}
		cancel()
	}
	for i := range n {
		name := fmt.Sprintf("sim-%d", i+1)
		applier := volumes.New(sim.New(sim.Config{}), clock.Real{}, log)
		a := agent.New(agent.Config{Journal: agent.MemoryJournal(), Log: log,
			Facts: hostlink.Facts{Host: name, ID: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(name)).String(), Arch: "x86_64", CPUs: 64, MemoryMiB: 262144,
				DiskGiB: 4096, Address: "127.0.0.1", Driver: "sim", DriverVer: 1000, Traits: []string{"CUSTOM_MEK_SIMULATED"}},
			Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Volumes: applier}})
		go func() {
			if err := a.Run(ctx); err != nil && ctx.Err() == nil {
				log.Error("a simulated host ended", "host", name, "error", err)
			}
		}()
		out, err := inproc.Join(ctx, h, a)
		if err != nil {
			leave()
			return nil, err
		}
		leaves = append(leaves, out, applier.Close)
	}
	return leave, nil
}
