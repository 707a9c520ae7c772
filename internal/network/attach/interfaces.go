package attach

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

// Interfaces lists the ports of servers by server.
func (s *Service) Interfaces(ctx context.Context, serverIDs ...string) (map[string][]network.Interface, error) {
	return s.interfaces(ctx, s.records.DB, serverIDs...)
}

func (s *Service) interfaces(ctx context.Context, q db.Querier, serverIDs ...string) (map[string][]network.Interface, error) {
	all, err := s.records.Cards(ctx, q, serverIDs)
	if err != nil {
		return nil, err
	}
	return all, s.addSubnets(ctx, q, all)
}

// addSubnets adds to cards what is told of the subnets of their addresses.
func (s *Service) addSubnets(ctx context.Context, q db.Querier, all map[string][]network.Interface) error {
	var ids []string
	for _, cards := range all {
		for _, c := range cards {
			ids = append(ids, subnetsOf(c)...)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	subnets, err := s.records.KnownSubnets(ctx, q, ids)
	if err != nil {
		return err
	}
	for _, cards := range all {
		for i, c := range cards {
			for _, id := range subnetsOf(c) {
				if sub := subnets[id]; sub != nil { // else it was deleted between the queries
					cards[i].Subnets = append(cards[i].Subnets, subnetInfo(sub))
				}
			}
		}
	}
	return nil
}

// subnetsOf lists where the addresses of a card are from.
func subnetsOf(c network.Interface) (ids []string) {
	for _, a := range c.Addresses {
		if !a.Floating {
			ids = append(ids, a.SubnetID)
		}
	}
	return ids
}

// Shown is Interfaces without Subnets: what people are shown of servers, by two
// queries.
func (s *Service) Shown(ctx context.Context, serverIDs ...string) (map[string][]network.Interface, error) {
	return s.records.Cards(ctx, s.records.DB, serverIDs)
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
