package app

import (
	"context"

	"github.com/mekcloud/mek/internal/hostlink"
	networkapi "github.com/mekcloud/mek/internal/network/api"
	"github.com/mekcloud/mek/internal/network/networks"
	"github.com/mekcloud/mek/internal/pki"
)

// The MTU of the machines' own network, and what geneve tunnels leave of it.
const (
	physicalMTU = 1500
	tunnelMTU   = 1442
)

// network builds Neutron.
func (b *builder) network(context.Context) error {
	d := networkapi.Deps{DB: b.DB, Clock: b.Clock, Log: b.Log, Agents: b.Hub, Home: b.Config.HostName, Quotas: b.Config.Quotas, Lead: b.lead("northbound"),
		Physical: networks.Physical{Name: b.Config.Network.PhysicalNet, MTU: physicalMTU, TunnelMTU: tunnelMTU}}
	if b.Config.Northbound != "" {
		d.Northbound = "unix:" + b.Config.Northbound
	}
	if b.Peers != nil {
		d.Homes = b.homes
	}
	s := networkapi.New(d)
	b.shared.networks = s.ForCompute()
	if b.Config.Southbound != "" {
		b.Hub.HandleStream(southboundStream, serveSouthbound(b.Config.Southbound, pki.OpenLocal(b.Config.SouthboundKeys), b.Clock))
	}
	b.Hub.Register(hostlink.Ports, s.Render, s.Observe)
	b.Hub.RegisterPart(hostlink.Ports, s.RenderSome)
	b.Hub.OnLease(s.HostChanged)
	b.heard[networkapi.Topic] = func(_ context.Context, scope string) { s.Heard(scope) }
	b.missed = append(b.missed, s.Missed)
	if b.Peers != nil {
		b.Peers.OnChange(s.HostsChanged)
	}
	b.loops = append(b.loops, s.Loop())
	b.background("network", s.Run)
	b.checks.Add(s.Checks()...)
	b.serve(s.REST())
	return nil
}

// homes are the host names of all machines with a server: this one's, and those
// that have said where they are.
func (b *builder) homes(ctx context.Context) ([]string, error) {
	list, err := b.shared.joining.Doors(ctx)
	out := []string{b.Config.HostName}
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out, err
}
