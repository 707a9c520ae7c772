package app

import (
	"context"

	"github.com/mekcloud/mek/internal/compute"
	computeapi "github.com/mekcloud/mek/internal/compute/api"
	"github.com/mekcloud/mek/internal/compute/hosts"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/pki"
	"github.com/mekcloud/mek/internal/placement"
)

// compute builds Nova on everything before it.
func (b *builder) compute(context.Context) error {
	sealer, err := pki.NewSealer(b.Master, "compute")
	if err != nil {
		return err
	}
	s := computeapi.New(computeapi.Deps{
		DB: b.DB, Clock: b.Clock, Log: b.Log, Tasks: b.tasks, Agents: b.Hub, Server: b.Config.HostName, Quotas: b.Config.Quotas,
		Placement: hostInventory{b.shared.placement, b.Config.Compute}, Allocator: b.shared.placement, Projects: projectLookup{b.shared.identity.Projects()},
		Images: b.shared.images, Networks: b.shared.networks, Volumes: b.shared.volumes, Front: b.frontDoor, People: b.shared.identity.Authenticator(), Sealer: sealer,
		ConfirmAfter: b.Config.Compute.ConfirmAfter, KeepHistory: b.Config.Compute.KeepHistory,
	})
	b.shared.imageClaims.add(s.Servers)
	b.shared.imageClaims.add(s.Aggregates)
	b.shared.grown.to = s.Servers
	s.Hosts.OnRemove(hosts.Removal{Check: b.shared.hostKeeps, Commit: b.shared.joining.Removed})
	b.Hub.OnFacts(s.Hosts.Seen)
	b.Hub.OnLease(s.Hosts.LeaseChanged)
	b.Hub.Register(hostlink.Guests, s.Servers.Render, s.Servers.Observe)
	b.Hub.RegisterPart(hostlink.Guests, s.Servers.RenderSome)
	b.Hub.HandleStream(compute.DiskStreamKind, s.Servers.Stream)
	b.Hub.OnTell(hostlink.Guests, s.Servers.Told)
	loop := b.reconcilers(append(s.Servers.Reconcilers(), b.pruneChassis(s.Hosts)...)...)
	b.background("compute", reconciled(loop))
	page, err := s.Consoles.Handler()
	if err != nil {
		return err
	}
	b.routes.Handle("/console/", page)
	b.checks.Add(s.Servers.Checks()...)
	b.checks.Add(s.Aggregates.Checks()...)
	b.serve(s.REST())
	return nil
}

// hostInventory tells Placement what a compute host has.
type hostInventory struct {
	placement placement.Allocator
	ratios    config.Compute
}

// EnsureHost writes a host's inventory: processors, memory and disk with the
// operator's allocation ratios.
func (p hostInventory) EnsureHost(ctx context.Context, h hosts.Provider) error {
	units := func(total, reserved int, ratio float64) placement.Inventory {
		i := placement.Units(int64(max(total, 1)))
		i.Reserved, i.AllocationRatio, i.MaxUnit = int64(min(reserved, total)), ratio, int64(max(total, 1))
		return i
	}
	traits := append([]string(nil), h.Traits...)
	if h.Disabled {
		traits = append(traits, "COMPUTE_STATUS_DISABLED")
	}
	return p.placement.EnsureProvider(ctx, placement.Host{UUID: h.ID, Name: h.Name, Traits: traits, Inventories: map[string]placement.Inventory{
		placement.VCPU:     units(h.CPUs, 0, p.ratios.CPURatio),
		placement.MemoryMB: units(h.MemoryMiB, p.ratios.ReservedMiB, p.ratios.MemoryRatio),
		placement.DiskGB:   units(h.DiskGiB, p.ratios.ReservedDisk/1024, p.ratios.DiskRatio),
	}})
}

// RemoveHost takes a host's inventory away.
func (p hostInventory) RemoveHost(ctx context.Context, id string) error {
	return p.placement.RemoveProvider(ctx, id)
}

// projectLookup asks identity whether a project exists.
type projectLookup struct{ projects identity.Projects }

func (p projectLookup) ProjectExists(ctx context.Context, projectID string) (bool, error) {
	_, err := p.projects.Get(ctx, projectID)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}
