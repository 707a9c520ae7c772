package catalog

import (
	"context"
	"encoding/json"
	"math/big"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/rest"
)

func (s *Service) usages(c *rest.Call) (rest.Reply, error) {
	if !c.Allow("get_network_ip_availability", c.Caller()) { // a list of what the caller may not see is empty
		return rest.OK(map[string]any{"network_ip_availabilities": []any{}})
	}
	var terms []listing.Term
	for parameter, column := range map[string]string{"network_id": "id", "network_name": "name", "tenant_id": "project_id", "project_id": "project_id"} {
		if v := c.Values().Get(parameter); v != "" {
			terms = append(terms, records.Is(column, v))
		}
	}
	items, err := s.records.Networks.Where(c.Context(), s.records.DB, terms...)
	if err != nil {
		return rest.Reply{}, err
	}
	out := []any{}
	for _, n := range items {
		view, err := s.usageView(c.Context(), n, c.Values().Get("ip_version"))
		if err != nil {
			return rest.Reply{}, err
		}
		out = append(out, view)
	}
	return rest.OK(map[string]any{"network_ip_availabilities": out})
}

func (s *Service) usage(c *rest.Call) (rest.Reply, error) {
	n, err := s.records.Networks.Get(c.Context(), c.Var("id"))
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("Network %s could not be found.", c.Var("id")).With("NetworkNotFound")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	view, err := s.usageView(c.Context(), n, "")
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"network_ip_availability": view})
}

func (s *Service) usageView(ctx context.Context, n *network.Network, version string) (map[string]any, error) {
	subnets, err := s.records.SubnetsOf(ctx, s.records.DB, n.ID)
	if err != nil {
		return nil, err
	}
	views, total, used := []any{}, new(big.Int), int64(0)
	for _, sub := range subnets {
		if version == "4" && sub.IPVersion != 4 || version == "6" && sub.IPVersion != 6 {
			continue
		}
		taken, err := s.records.AddressesOn(ctx, s.records.DB, sub.ID)
		if err != nil {
			return nil, err
		}
		size := new(big.Int)
		for _, p := range sub.Pools {
			size.Add(size, p.Size())
		}
		total.Add(total, size)
		used += taken
		views = append(views, map[string]any{"subnet_id": sub.ID, "subnet_name": sub.Name, "cidr": sub.CIDR.String(), "ip_version": sub.IPVersion,
			"total_ips": json.Number(size.String()), "used_ips": taken})
	}
	return map[string]any{"network_id": n.ID, "network_name": n.Name, "tenant_id": n.ProjectID, "project_id": n.ProjectID,
		"total_ips": json.Number(total.String()), "used_ips": used, "subnet_ip_availability": views}, nil
}
