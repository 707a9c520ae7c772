package records

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/network"
)

// known is networks and subnets that were read before and have not changed: what
// is made on them, and rendered of it, asks for them again and again.
type known struct {
	networks *db.Kept[string, *network.Network]
	subnets  *db.Kept[string, *network.Subnet]
}

func newKnown() known {
	return known{db.Keep[string, *network.Network]("network_networks", "network_subnets", "network_shares", "network_pools"),
		db.Keep[string, *network.Subnet]("network_subnets")}
}

// KnownNetwork is a network as Networks.Find loads it, which MUST NOT be changed;
// NotFound when there is none.
func (r *Records) KnownNetwork(ctx context.Context, q db.Querier, id string) (*network.Network, error) {
	return r.known.networks.Get(q, id, func() (*network.Network, error) { return r.Networks.Find(ctx, q, id) })
}

// KnownSubnets are those of some subnets that exist, by id, which MUST NOT be changed.
func (r *Records) KnownSubnets(ctx context.Context, q db.Querier, ids []string) (map[string]*network.Subnet, error) {
	return r.known.subnets.Some(q, ids, func(missing []string) (map[string]*network.Subnet, error) {
		list, err := r.Subnets.Where(ctx, q, OneOf("id", missing))
		out := make(map[string]*network.Subnet, len(list))
		for _, s := range list {
			out[s.ID] = s
		}
		return out, err
	})
}
