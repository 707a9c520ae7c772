package wire

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

type networksKey struct{}

// Networks loads networks once for a request, all that are missing at once, as
// records.BareNetworks does. Those that are gone are missing in the answer.
func Networks(c *rest.Call, r *records.Records, ids ...string) (map[string]*network.Network, error) {
	known := rest.Memo(c, networksKey{}, func() map[string]*network.Network { return map[string]*network.Network{} })
	var missing []string
	for _, id := range ids {
		if _, ok := known[id]; !ok {
			known[id] = nil
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return known, nil
	}
	found, err := r.BareNetworks(c.Context(), r.DB, missing)
	for _, n := range found {
		known[n.ID] = n
	}
	return known, err
}

// Network loads one of them; NotFound when it is gone.
func Network(c *rest.Call, r *records.Records, id string) (*network.Network, error) {
	known, err := Networks(c, r, id)
	if err == nil && known[id] == nil {
		err = fault.NotFoundf("Network %s could not be found.", id)
	}
	return known[id], err
}

// PartTarget is what policy asks about a part of a network: whose it is, and
// whose the network. That the network is external does not count: the
// interoperability tests want subnets of external networks hidden, as Neutron
// hid them until it took rule:external_network into get_subnet.
func PartTarget(c *rest.Call, r *records.Records, project, networkID string) policy.Target {
	t := Target(project)
	known, err := Networks(c, r, networkID)
	if n := known[networkID]; err == nil && n != nil { // otherwise it was just deleted: only the owner and administrators see the part
		t["shared"], t["network:tenant_id"] = n.SharedWith.Includes(c.Auth.ProjectID), n.ProjectID
	}
	return t
}

// PartsBefore loads the networks of a list's items (rest.Resource.Before).
func PartsBefore[T any](r *records.Records, networkOf func(*T) string) func(*rest.Call, []*T) error {
	return func(c *rest.Call, items []*T) error {
		ids := make([]string, len(items))
		for i, item := range items {
			ids[i] = networkOf(item)
		}
		_, err := Networks(c, r, ids...)
		return err
	}
}
