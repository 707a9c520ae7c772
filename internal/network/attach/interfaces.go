package attach

import (
	"context"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
)

// world is the rows that interfaces are told from.
type world struct {
	networks  map[string]*network.Network
	subnets   map[string]*network.Subnet
	groups    map[string]string // names
	floatings map[string][]*network.FloatingIP
}

// Interfaces lists the ports of servers by server.
func (s *Service) Interfaces(ctx context.Context, serverIDs ...string) (map[string][]network.Interface, error) {
	out := make(map[string][]network.Interface, len(serverIDs))
	if len(serverIDs) == 0 {
		return out, nil
	}
	ports, err := s.records.Ports.Where(ctx, s.records.DB, records.OneOf("device_id", serverIDs))
	if err != nil || len(ports) == 0 {
		return out, err
	}
	w, err := s.world(ctx, ports)
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		out[p.DeviceID] = append(out[p.DeviceID], w.describe(p))
	}
	return out, nil
}

// Shown is Interfaces without Subnets: what people are shown of servers, by two
// queries.
func (s *Service) Shown(ctx context.Context, serverIDs ...string) (map[string][]network.Interface, error) {
	return s.records.Cards(ctx, serverIDs)
}

func (s *Service) world(ctx context.Context, ports []*network.Port) (*world, error) {
	var networkIDs, subnetIDs, groupIDs, portIDs []string
	for _, p := range ports {
		networkIDs, portIDs = append(networkIDs, p.NetworkID), append(portIDs, p.ID)
		groupIDs = append(groupIDs, p.SecurityGroups...)
		for _, ip := range p.FixedIPs {
			subnetIDs = append(subnetIDs, ip.SubnetID)
		}
	}
	w := &world{map[string]*network.Network{}, map[string]*network.Subnet{}, map[string]string{}, map[string][]*network.FloatingIP{}}
	networks, err := s.records.Networks.Where(ctx, s.records.DB, records.OneOf("id", networkIDs))
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		w.networks[n.ID] = n
	}
	subnets, err := s.records.Subnets.Where(ctx, s.records.DB, records.OneOf("id", subnetIDs))
	if err != nil {
		return nil, err
	}
	for _, sub := range subnets {
		w.subnets[sub.ID] = sub
	}
	groups, err := s.records.Groups.Where(ctx, s.records.DB, records.OneOf("id", groupIDs))
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		w.groups[g.ID] = g.Name
	}
	floatings, err := s.records.Floatings.Where(ctx, s.records.DB, records.OneOf("port_id", portIDs))
	for _, f := range floatings {
		w.floatings[f.PortID] = append(w.floatings[f.PortID], f)
	}
	return w, err
}

func (w *world) describe(p *network.Port) network.Interface {
	i := network.Interface{PortID: p.ID, NetworkID: p.NetworkID, ServerID: p.DeviceID, MAC: p.MAC, Active: p.Status == network.PortActive, Existing: !p.Planned,
		Addresses: []network.Address{}, Subnets: []network.SubnetInfo{}, Groups: []string{}}
	if n := w.networks[p.NetworkID]; n != nil {
		i.NetworkName, i.MTU = n.Name, n.MTU
	}
	for _, ip := range p.FixedIPs {
		sub := w.subnets[ip.SubnetID]
		if sub == nil {
			continue // deleted between the queries
		}
		i.Addresses = append(i.Addresses, network.Address{Address: ip.Address.String(), Version: sub.IPVersion, SubnetID: sub.ID})
		for _, f := range w.floatings[p.ID] {
			if f.Fixed == ip.Address {
				i.Addresses = append(i.Addresses, network.Address{Address: f.Address.String(), Version: 4, Floating: true})
			}
		}
		i.Subnets = append(i.Subnets, subnetInfo(sub))
	}
	for _, g := range p.SecurityGroups {
		i.Groups = append(i.Groups, w.groups[g])
	}
	return i
}

func subnetInfo(s *network.Subnet) network.SubnetInfo {
	info := network.SubnetInfo{ID: s.ID, CIDR: s.CIDR.String(), Version: s.IPVersion, DNS: s.DNSNameservers, DHCP: s.EnableDHCP, RAMode: s.IPv6RAMode, AddressRef: s.IPv6AddressMode}
	if s.Gateway.IsValid() {
		info.Gateway = s.Gateway.String()
	}
	for _, r := range s.HostRoutes {
		info.Routes = append(info.Routes, [2]string{r.Destination.String(), r.NextHop.String()})
	}
	return info
}
