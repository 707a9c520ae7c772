package northbound

import (
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/network/records"
)

// reading is what was read for scopes that are rendered in one go. What changes
// after it was read is told again, so that it may be a little old.
type reading struct {
	*Sync
	networks map[string]ovn.NetworkView
	loaded   map[string]*network.Port // by id; nil: there is none
	decided  func() ([]string, error) // where gateways should be
}

func (s *Sync) reading(decided func() ([]string, error)) *reading {
	return &reading{Sync: s, decided: decided, networks: map[string]ovn.NetworkView{}, loaded: map[string]*network.Port{}}
}

// ports loads all that scopes are about at once.
func (s *reading) ports(ctx context.Context, scopes []string) error {
	var ids []string
	for _, scope := range scopes {
		if id, ok := strings.CutPrefix(scope, "port/"); ok {
			ids = append(ids, id)
		}
	}
	for some := range slices.Chunk(ids, together) {
		list, err := s.records.Ports.Where(ctx, s.records.DB, records.OneOf("id", some))
		if err != nil {
			return err
		}
		for _, id := range some {
			s.loaded[id] = nil
		}
		for _, p := range list {
			s.loaded[p.ID] = p
		}
	}
	return nil
}

// find gives a port that was loaded, or loads it.
func (s *reading) find(ctx context.Context, id string) (*network.Port, error) {
	p, ok := s.loaded[id]
	if ok && p == nil {
		return nil, fault.NotFoundf("port %s is gone", id)
	}
	if ok {
		return p, nil
	}
	return s.records.Ports.Get(ctx, id)
}

// render reads what a scope is about; nothing when that is gone.
func (s *reading) render(ctx context.Context, scope string) ([]ovn.Row, error) {
	kind, id, _ := strings.Cut(scope, "/")
	var rows []ovn.Row
	var err error
	switch kind {
	case ovn.GlobalScope:
		rows = ovn.RenderGlobal()
	case "network":
		var v ovn.NetworkView
		if v, err = s.network(ctx, id); err == nil {
			rows = ovn.RenderNetwork(v)
		}
	case "group":
		var g *network.SecurityGroup
		if g, err = s.records.Groups.Get(ctx, id); err == nil {
			rows = ovn.RenderGroup(*g, g.Rules)
		}
	case "addresses":
		var g *network.AddressGroup
		if g, err = s.records.AddressGroups.Get(ctx, id); err == nil {
			rows = ovn.RenderAddressGroup(*g)
		}
	case "router":
		var v ovn.RouterView
		if v, err = s.router(ctx, id); err == nil {
			rows = ovn.RenderRouter(v)
		}
	case "port":
		var v ovn.PortView
		if v, err = s.port(ctx, id); err == nil {
			rows = ovn.RenderPort(v)
		}
	case "floating":
		var v ovn.FloatingView
		if v, err = s.floating(ctx, id); err == nil {
			rows = ovn.RenderFloating(v)
		}
	}
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return rows, err
}

func (s *reading) network(ctx context.Context, id string) (ovn.NetworkView, error) {
	if v, ok := s.networks[id]; ok {
		return v, nil
	}
	n, err := s.records.Networks.Get(ctx, id)
	if err != nil {
		return ovn.NetworkView{}, err
	}
	v := ovn.NetworkView{Network: *n}
	if v.Subnets, err = s.records.SubnetsOf(ctx, s.records.DB, id); err != nil {
		return v, err
	}
	meta, err := s.records.Ports.Where(ctx, s.records.DB, records.Is("network_id", id), records.Is("device_owner", network.OwnerMetadata))
	if len(meta) > 0 {
		v.Metadata = meta[0]
	}
	if err == nil {
		s.networks[id] = v
	}
	return v, err
}

func (s *reading) port(ctx context.Context, id string) (ovn.PortView, error) {
	p, err := s.find(ctx, id)
	if err != nil {
		return ovn.PortView{}, err
	}
	n, err := s.network(ctx, p.NetworkID)
	if err != nil {
		return ovn.PortView{}, err
	}
	v := ovn.PortView{Port: *p, Network: n, Chassis: p.Host}
	policy := p.QoSPolicyID
	if policy == "" {
		policy = n.Network.QoSPolicyID
	}
	if v.Policy, err = s.policy(ctx, policy); err != nil {
		return v, err
	}
	lane, err := s.records.LaneOf(ctx, s.records.DB, id)
	if lane != nil {
		v.Lane = &ovn.Lane{Parent: lane.Parent.ID, Tag: lane.Tag, Up: lane.Up}
	}
	return v, err
}

// policy loads a QoS policy; empty: none.
func (s *reading) policy(ctx context.Context, id string) (*network.QoSPolicy, error) {
	if id == "" {
		return nil, nil
	}
	return s.records.Policies.Get(ctx, id)
}

func (s *reading) floating(ctx context.Context, id string) (ovn.FloatingView, error) {
	f, err := s.records.Floatings.Get(ctx, id)
	if err != nil {
		return ovn.FloatingView{}, err
	}
	v := ovn.FloatingView{Floating: *f}
	forwardings, err := s.records.Forwardings.Where(ctx, s.records.DB, records.Is("floating_id", id))
	if err != nil {
		return v, err
	}
	for _, x := range forwardings {
		v.Forwardings = append(v.Forwardings, *x)
	}
	if v.Policy, err = s.policy(ctx, f.QoSPolicyID); err != nil || v.Policy == nil || f.RouterID == "" {
		return v, err
	}
	r, err := s.records.Routers.Get(ctx, f.RouterID)
	if err != nil || r.Gateway == nil {
		return v, err
	}
	v.Gateway, err = s.records.Ports.Get(ctx, r.Gateway.PortID)
	return v, err
}

func (s *reading) router(ctx context.Context, id string) (ovn.RouterView, error) {
	r, err := s.records.Routers.Get(ctx, id)
	if err != nil {
		return ovn.RouterView{}, err
	}
	v := ovn.RouterView{Router: *r}
	if v.Chassis, err = s.decided(); err != nil {
		return v, err
	}
	inner, err := s.records.InterfacesOf(ctx, s.records.DB, id)
	if err != nil {
		return v, err
	}
	for _, p := range inner {
		leg, err := s.routerPort(ctx, p)
		if err != nil {
			return v, err
		}
		v.Interfaces = append(v.Interfaces, leg)
	}
	if r.Gateway == nil {
		return v, s.scopesOf(ctx, &v)
	}
	if v.Policy, err = s.policy(ctx, r.Gateway.QoSPolicyID); err != nil {
		return v, err
	}
	p, err := s.records.Ports.Get(ctx, r.Gateway.PortID)
	if err != nil {
		return v, err
	}
	out, err := s.routerPort(ctx, p)
	if err != nil {
		return v, err
	}
	v.Gateway = &out
	return v, s.scopesOf(ctx, &v)
}

// scopesOf finds the address scopes of what a router leads to.
func (s *reading) scopesOf(ctx context.Context, v *ovn.RouterView) error {
	v.Scopes = map[string]string{}
	legs := v.Interfaces
	if v.Gateway != nil {
		legs = append(slices.Clone(legs), *v.Gateway)
	}
	for _, leg := range legs {
		for _, sub := range leg.Subnets {
			scope, err := s.records.PoolScope(ctx, s.records.DB, sub.PoolID)
			if err != nil {
				return err
			}
			if scope != "" {
				v.Scopes[sub.ID] = scope
			}
		}
	}
	return nil
}

func (s *reading) routerPort(ctx context.Context, p *network.Port) (ovn.RouterPort, error) {
	n, err := s.records.Networks.Get(ctx, p.NetworkID)
	if err != nil {
		return ovn.RouterPort{}, err
	}
	subnets, err := s.records.SubnetsOf(ctx, s.records.DB, p.NetworkID)
	return ovn.RouterPort{Port: *p, Network: *n, Subnets: subnets}, err
}
