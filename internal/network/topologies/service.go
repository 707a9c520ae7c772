package topologies

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Networks adds and removes networks.
type Networks interface {
	Add(ctx context.Context, tx *db.Tx, n *network.Network) error
	Remove(ctx context.Context, tx *db.Tx, networkID string) error
}

// Subnets cuts subnets from pools that a project may use; empty: from all.
type Subnets interface {
	FromPool(ctx context.Context, tx *db.Tx, sub *network.Subnet, reach string) error
}

// Routers adds and removes routers that lead outside from subnets.
type Routers interface {
	Lead(ctx context.Context, tx *db.Tx, r *network.Router, external string, subnets []string) error
	Dismantle(ctx context.Context, tx *db.Tx, routerID string, subnets []string) (bool, error)
}

// Service is topologies behind the API. Safe for concurrent use.
type Service struct {
	records  *records.Records
	quota    *quota.Quota
	networks Networks
	subnets  Subnets
	routers  Routers
}

// New makes the service of what adds the parts.
func New(r *records.Records, q *quota.Quota, n Networks, s Subnets, rs Routers) *Service {
	return &Service{r, q, n, s, rs}
}

// The names of the parts, as upstream gives them.
const (
	networkName = "auto_allocated_network"
	routerName  = "auto_allocated_router"
)

var subnetNames = map[int]string{4: "auto_allocated_subnet_v4", 6: "auto_allocated_subnet_v6"}

func failure(reason string) error {
	return fault.Conflictf("Deployment error: %s.", reason).With("AutoAllocationFailure")
}

// Ready refuses with Conflict when no topology could be made. Reach is the
// project whose subnet pools may be used; empty: all.
func (s *Service) Ready(ctx context.Context, q db.Querier, reach string) error {
	if _, err := s.outside(ctx, q); err != nil {
		return err
	}
	pools, err := s.pools(ctx, q, reach)
	if err == nil && len(pools) == 0 {
		err = failure("No default subnetpools defined")
	}
	return err
}

// outside is the default external network.
func (s *Service) outside(ctx context.Context, q db.Querier) (string, error) {
	found, err := s.records.Networks.Where(ctx, q, records.Is("is_default", true), records.Is("external", true))
	if err == nil && len(found) == 0 {
		err = failure("No default router:external network")
	}
	if err != nil {
		return "", err
	}
	return found[0].ID, nil
}

// pools are the default subnet pools that a project may use: of each version
// one at most.
func (s *Service) pools(ctx context.Context, q db.Querier, reach string) ([]*network.SubnetPool, error) {
	var out []*network.SubnetPool
	for _, version := range []int{4, 6} {
		found, err := s.records.Pools.Where(ctx, q, records.Is("is_default", true), records.Is("ip_version", version))
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if reach == "" || p.ProjectID == reach || p.SharedWith.Includes(reach) {
				out = append(out, p)
				break
			}
		}
	}
	return out, nil
}

// Ensure is the network of a project's topology, which it makes if there is
// none. Conflict: it cannot be made.
func (s *Service) Ensure(ctx context.Context, projectID, reach string) (networkID string, err error) {
	t, err := s.records.TopologyOf(ctx, s.records.DB, projectID)
	if err != nil {
		return "", err
	}
	if t != nil {
		return t.NetworkID, nil
	}
	err = s.records.DB.Write(ctx, func(tx *db.Tx) error {
		networkID, err = s.EnsureIn(ctx, tx, projectID, reach)
		return err
	})
	return networkID, err
}

// EnsureIn is Ensure within a transaction.
func (s *Service) EnsureIn(ctx context.Context, tx *db.Tx, projectID, reach string) (string, error) {
	full := s.quota.Check(ctx, tx, projectID, map[string]int64{"network": 1}) // from here on the project is locked
	t, err := s.records.TopologyOf(ctx, tx, projectID)
	if err != nil {
		return "", err
	}
	if t != nil {
		return t.NetworkID, nil
	}
	if full != nil {
		return "", full
	}
	external, err := s.outside(ctx, tx)
	if err != nil {
		return "", err
	}
	made := network.Topology{ProjectID: projectID, NetworkID: id.New(), RouterID: id.New()}
	subnets, err := s.inner(ctx, tx, made, reach)
	if err != nil {
		return "", only(err, "Unable to provide project private network")
	}
	r := &network.Router{Standard: network.Standard{ID: made.RouterID, ProjectID: projectID, Name: routerName}, AdminStateUp: true}
	if err := s.routers.Lead(ctx, tx, r, external, subnets); err != nil {
		if fault.Is(err, fault.Invalid) {
			err = failure("Unable to provide external connectivity")
		}
		return "", err
	}
	if err := s.records.InsertTopology(ctx, tx, made); err != nil {
		return "", err
	}
	return made.NetworkID, s.tell(ctx, tx, "create", "router", made.RouterID, projectID)
}

// inner makes a topology's network with its subnets.
func (s *Service) inner(ctx context.Context, tx *db.Tx, t network.Topology, reach string) ([]string, error) {
	n := &network.Network{Standard: network.Standard{ID: t.NetworkID, ProjectID: t.ProjectID, Name: networkName}, AdminStateUp: true, PortSecurity: true}
	if err := s.networks.Add(ctx, tx, n); err != nil {
		return nil, err
	}
	if err := s.tell(ctx, tx, "create", "network", n.ID, n.ProjectID); err != nil {
		return nil, err
	}
	pools, err := s.pools(ctx, tx, reach)
	if err != nil {
		return nil, err
	}
	if len(pools) == 0 {
		return nil, fault.NotFoundf("There is no default subnet pool.")
	}
	var out []string
	for _, p := range pools {
		sub := &network.Subnet{Standard: network.Standard{ID: id.New(), ProjectID: n.ProjectID, Name: subnetNames[p.IPVersion]}, NetworkID: n.ID,
			IPVersion: p.IPVersion, EnableDHCP: true, PoolID: p.ID}
		if err := s.subnets.FromPool(ctx, tx, sub, reach); err != nil {
			return nil, err
		}
		if err := s.tell(ctx, tx, "create", "subnet", sub.ID, sub.ProjectID); err != nil {
			return nil, err
		}
		out = append(out, sub.ID)
	}
	return out, nil
}

// only hides why the parts could not be had, where upstream does: quotas and
// what has nothing to do with the request are told.
func only(err error, reason string) error {
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) || fault.As(err).Code == "SubnetAllocationError" {
		return failure(reason)
	}
	return err
}

// Delete removes a project's topology, all or nothing; none is fine. Conflict:
// something else is on its network or on its router.
func (s *Service) Delete(ctx context.Context, projectID string) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := s.records.LockTopology(ctx, tx, projectID)
		if err != nil {
			return err
		}
		if t != nil {
			if err := s.takeApart(ctx, tx, t); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, "delete", "auto_allocated_topology", projectID, projectID)
	})
}

func (s *Service) takeApart(ctx context.Context, tx *db.Tx, t *network.Topology) error {
	n, err := s.records.Networks.Find(ctx, tx, t.NetworkID)
	if fault.Is(err, fault.NotFound) {
		return nil // its owner has just deleted it
	}
	if err != nil {
		return err
	}
	led, err := s.routers.Dismantle(ctx, tx, t.RouterID, n.SubnetIDs)
	if err != nil {
		return err
	}
	if led {
		if err := s.tell(ctx, tx, "delete", "router", t.RouterID, t.ProjectID); err != nil {
			return err
		}
	}
	if err := s.networks.Remove(ctx, tx, n.ID); err != nil {
		return err
	}
	return s.tell(ctx, tx, "delete", "network", n.ID, t.ProjectID)
}

func (s *Service) tell(ctx context.Context, tx *db.Tx, action, kind, object, projectID string) error {
	return outbox.Write(ctx, tx, event.Record{Service: "network", Action: action, Kind: kind, Object: object, ProjectID: projectID})
}
