package routers

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Gateway is a wish for the way out. Nil SNAT leaves it, or turns it on.
type Gateway struct {
	NetworkID   string
	EnableSNAT  *bool
	QoSPolicyID *string        // nil leaves it; empty: none
	Wants       []records.Want // nil: any address
}

// Change is what an update asks for; nil members stay as they are.
type Change struct {
	Name, Description       *string
	AdminStateUp            *bool
	Gateway                 *Gateway
	ClearGateway            bool
	Routes                  *[]network.HostRoute
	AddRoutes, RemoveRoutes []network.HostRoute
}

// Service is routers behind the API. Safe for concurrent use.
type Service struct {
	records *records.Records
	quota   *quota.Quota
	zones   func() []string // availability zones of the hosts there are
}

// New makes the service; zones lists the availability zones there are.
func New(r *records.Records, q *quota.Quota, zones func() []string) *Service {
	return &Service{r, q, zones}
}

// Create adds a router, with its gateway if one is asked for.
func (s *Service) Create(ctx context.Context, r *network.Router, ch Change, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.add(ctx, tx, r, ch); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Service) add(ctx context.Context, tx *db.Tx, r *network.Router, ch Change) error {
	if err := s.quota.Check(ctx, tx, r.ProjectID, map[string]int64{"router": 1}); err != nil {
		return err
	}
	s.records.Begin(&r.Standard)
	r.Gateway = nil
	if err := s.records.InsertRouter(ctx, tx, r); err != nil {
		return err
	}
	return s.apply(ctx, tx, r, ch)
}

// Update changes a router.
func (s *Service) Update(ctx context.Context, routerID string, ch Change, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := s.records.Routers.Lock(ctx, tx, routerID)
		if err != nil {
			return err
		}
		if err := s.apply(ctx, tx, r, ch); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Service) apply(ctx context.Context, tx *db.Tx, r *network.Router, ch Change) error {
	if ch.Name != nil {
		r.Name = *ch.Name
	}
	if ch.Description != nil {
		r.Description = *ch.Description
	}
	if ch.AdminStateUp != nil {
		r.AdminStateUp = *ch.AdminStateUp
	}
	var err error
	switch {
	case ch.ClearGateway:
		err = s.clearGateway(ctx, tx, r)
	case ch.Gateway != nil:
		err = s.setGateway(ctx, tx, r, *ch.Gateway)
	}
	if err != nil {
		return err
	}
	if err := s.setRoutes(ctx, tx, r, ch); err != nil {
		return err
	}
	s.records.Changed(tx, network.RouterScope(r.ID))
	return s.records.UpdateRouter(ctx, tx, r)
}

// setRoutes changes the extra routes; each next hop must be on a subnet that
// the router is on.
func (s *Service) setRoutes(ctx context.Context, tx *db.Tx, r *network.Router, ch Change) error {
	routes := slices.Clone(r.Routes)
	if ch.Routes != nil {
		routes = *ch.Routes
	}
	for _, add := range ch.AddRoutes {
		if !slices.Contains(routes, add) {
			routes = append(routes, add)
		}
	}
	routes = slices.DeleteFunc(routes, func(x network.HostRoute) bool { return slices.Contains(ch.RemoveRoutes, x) })
	if slices.Equal(routes, r.Routes) {
		return nil
	}
	reach, err := s.reach(ctx, tx, r)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if !slices.ContainsFunc(reach, func(sub *network.Subnet) bool { return sub.CIDR.Contains(route.NextHop) }) {
			return fault.Invalidf("Invalid format for routes: %s via %s, the nexthop is not connected with router", route.Destination, route.NextHop).With("InvalidRoutes")
		}
	}
	r.Routes = routes
	return nil
}

// reach lists the subnets that a router is on.
func (s *Service) reach(ctx context.Context, tx *db.Tx, r *network.Router) ([]*network.Subnet, error) {
	ports, err := s.records.Ports.Where(ctx, tx, records.Is("device_id", r.ID))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range ports {
		ids = append(ids, subnetIDs(p)...)
	}
	return s.records.Subnets.Where(ctx, tx, records.OneOf("id", ids))
}

// Delete removes a router and its gateway; Conflict while it has interfaces.
func (s *Service) Delete(ctx context.Context, routerID string, record event.Record) error {
	return s.records.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := s.records.Routers.Lock(ctx, tx, routerID)
		if err != nil {
			return err
		}
		if err := s.remove(ctx, tx, r); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Service) remove(ctx context.Context, tx *db.Tx, r *network.Router) error {
	inner, err := s.records.InterfacesOf(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	if len(inner) > 0 {
		return fault.Conflictf("Router %s still has ports", r.ID).With("RouterInUse")
	}
	if err := s.clearGateway(ctx, tx, r); err != nil {
		return err
	}
	s.records.Changed(tx, network.RouterScope(r.ID))
	return s.records.DeleteRouter(ctx, tx, r.ID)
}

// newPort is a port that the router owns; what it sends is not filtered.
func newPort(r *network.Router, networkID, owner string) *network.Port {
	return &network.Port{Standard: network.Standard{ID: id.New(), ProjectID: r.ProjectID}, NetworkID: networkID, AdminStateUp: true,
		Status: network.PortActive, DeviceID: r.ID, DeviceOwner: owner}
}
