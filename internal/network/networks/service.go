package networks

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Physical describes what administrators may connect networks to.
type Physical struct {
	Name string // of the physical network, "public"
	MTU  int    // of it
	// TunnelMTU is what tenant networks get: the MTU of the hosts' network less
	// what the tunnel needs.
	TunnelMTU int
}

// Service is networks behind the API. Safe for concurrent use.
type Service struct {
	records  *records.Records
	quota    *quota.Quota
	physical Physical
	zones    func() []string // of the hosts there are
}

// New makes the service; zones lists the availability zones there are.
func New(r *records.Records, q *quota.Quota, p Physical, zones func() []string) *Service {
	return &Service{r, q, p, zones}
}

// Create adds networks, all or none.
func (s *Service) Create(ctx context.Context, items []*network.Network, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		for _, n := range items {
			if err := s.Add(ctx, tx, n); err != nil {
				return err
			}
			record.Object, record.ProjectID = n.ID, n.ProjectID
			if err := outbox.Write(ctx, tx, record); err != nil {
				return err
			}
		}
		return nil
	})
}

// Add is Create of one network in a transaction that says what was asked for.
func (s *Service) Add(ctx context.Context, tx *db.Tx, n *network.Network) error {
	if err := s.place(ctx, tx, n); err != nil {
		return err
	}
	if err := s.oneDefault(ctx, tx, n, false); err != nil {
		return err
	}
	if err := s.quota.Check(ctx, tx, n.ProjectID, map[string]int64{"network": 1}); err != nil {
		return err
	}
	if n.QoSPolicyID == "" {
		policy, err := s.records.DefaultPolicy(ctx, tx, n.ProjectID)
		if err != nil {
			return err
		}
		n.QoSPolicyID = policy
	}
	s.records.Begin(&n.Standard)
	if err := s.records.InsertNetwork(ctx, tx, n); err != nil {
		return err
	}
	s.records.Changed(tx, network.NetworkScope(n.ID))
	return nil
}

// oneDefault keeps the mark of the default external network off those that are
// not external, and on one at most. was: the network has it already.
func (s *Service) oneDefault(ctx context.Context, tx *db.Tx, n *network.Network, was bool) error {
	n.IsDefault = n.IsDefault && n.External
	if !n.IsDefault || was {
		return nil
	}
	have, err := s.records.Networks.Where(ctx, tx, records.Is("is_default", true), records.Is("external", true))
	if err == nil && len(have) > 0 {
		err = fault.Conflictf("A default external network already exists: %s.", have[0].ID).With("DefaultExternalNetworkExists")
	}
	return err
}

// place chooses how a network is carried: in tunnels, or, for an external one
// of which nothing was said, on the physical network if it is free.
func (s *Service) place(ctx context.Context, tx *db.Tx, n *network.Network) error {
	switch n.NetworkType {
	case "":
		n.NetworkType = network.TypeGeneve
		if n.External && s.physical.Name != "" {
			taken, err := s.records.Networks.Count(ctx, tx, records.Is("physical_network", s.physical.Name), records.Is("network_type", network.TypeFlat))
			if err != nil {
				return err
			}
			if taken == 0 {
				n.NetworkType, n.PhysicalNetwork = network.TypeFlat, s.physical.Name
			}
		}
	case network.TypeGeneve:
		if n.PhysicalNetwork != "" {
			return fault.Invalidf("Invalid input for operation: provider:physical_network specified for geneve network.").With("InvalidInput")
		}
	case network.TypeFlat, network.TypeVLAN:
		if n.PhysicalNetwork != s.physical.Name || s.physical.Name == "" {
			return fault.Invalidf("Invalid input for operation: physical_network '%s' unknown for %s provider network.", n.PhysicalNetwork, n.NetworkType).With("InvalidInput")
		}
		if n.NetworkType == network.TypeVLAN && (n.SegmentationID < 1 || n.SegmentationID > 4094) {
			return fault.Invalidf("Invalid input for operation: segmentation_id out of range (1 through 4094).").With("InvalidInput")
		}
	default:
		return fault.Invalidf("Invalid input for operation: network_type value '%s' not supported.", n.NetworkType).With("InvalidInput")
	}
	if n.MTU == 0 {
		n.MTU = s.physical.TunnelMTU
		if n.PhysicalNetwork != "" {
			n.MTU = s.physical.MTU
		}
	}
	return nil
}

// Update changes a network.
func (s *Service) Update(ctx context.Context, networkID string, change func(*network.Network), record event.Record) (n *network.Network, err error) {
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if n, err = s.records.Networks.Lock(ctx, tx, networkID); err != nil {
			return err
		}
		before := *n
		change(n)
		if err := s.oneDefault(ctx, tx, n, before.IsDefault && before.External); err != nil {
			return err
		}
		if before.Shared && !n.Shared {
			if err := s.usedByOthers(ctx, tx, n); err != nil {
				return err
			}
		}
		if err := s.records.UpdateNetwork(ctx, tx, n); err != nil {
			return err
		}
		s.records.Changed(tx, network.NetworkScope(n.ID))
		if before.DNSDomain != n.DNSDomain || before.QoSPolicyID != n.QoSPolicyID {
			if err := s.records.NetworkPorts(ctx, tx, n.ID); err != nil {
				return err
			}
		}
		return outbox.Write(ctx, tx, record)
	})
	return n, err
}

// usedByOthers refuses to take a network back from projects that have ports on it.
func (s *Service) usedByOthers(ctx context.Context, tx *db.Tx, n *network.Network) error {
	users, err := s.records.UsingProjects(ctx, tx, &network.SharePolicy{ObjectType: network.TypeNetwork, ObjectID: n.ID, Action: network.AccessShared})
	rest := slices.DeleteFunc(slices.Clone(n.SharedWith), func(target string) bool { return target == network.Everybody })
	for _, project := range users {
		if project != n.ProjectID && !rest.Includes(project) {
			return fault.Conflictf("Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.ID).With("InvalidSharedSetting")
		}
	}
	return err
}

// unassociated deletes the floating addresses of a network that lead nowhere,
// and answers the ports that held them.
func (s *Service) unassociated(ctx context.Context, tx *db.Tx, networkID string) (map[string]bool, error) {
	items, err := s.records.Floatings.Where(ctx, tx, records.Is("network_id", networkID), records.Is("port_id", ""))
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, f := range items {
		held[f.PortOwnID] = true
		s.records.Changed(tx, network.FloatingScope(f.ID))
		if err := s.records.DeleteFloating(ctx, tx, f.ID); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// Delete removes a network with its subnets and the floating addresses that
// lead nowhere; Conflict while other ports are on it.
func (s *Service) Delete(ctx context.Context, networkID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.Remove(ctx, tx, networkID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

// Remove is Delete in a transaction that says what was asked for.
func (s *Service) Remove(ctx context.Context, tx *db.Tx, networkID string) error {
	n, err := s.records.Networks.Lock(ctx, tx, networkID)
	if err != nil {
		return err
	}
	ports, err := s.records.Ports.Where(ctx, tx, records.Is("network_id", networkID))
	if err != nil {
		return err
	}
	floating, err := s.unassociated(ctx, tx, networkID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DeviceOwner != network.OwnerMetadata && !floating[p.ID] {
			return fault.Conflictf("Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports are: %s.", networkID, p.ID).With("NetworkInUse")
		}
	}
	for _, p := range ports {
		if err := s.records.RemovePort(ctx, tx, p); err != nil {
			return err
		}
	}
	for _, subnetID := range n.SubnetIDs {
		if err := s.records.DeleteSubnet(ctx, tx, subnetID); err != nil {
			return err
		}
	}
	s.records.Changed(tx, network.NetworkScope(networkID))
	return s.records.DeleteNetwork(ctx, tx, networkID)
}
