package northbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/network/records"
)

// Database is the northbound database, as package ovn has it.
type Database interface {
	Apply(ctx context.Context, scope string, rows []ovn.Row) error
	Resync(ctx context.Context, scopes map[string][]ovn.Row) (repaired int, err error)
	Compare(scopes map[string][]ovn.Row) []ovn.Difference
	// Gateways lists the hosts that it lets hold gateways, the most wanted first.
	Gateways() []string
	Close()
}

// fullEvery is the time between passes over everything.
const fullEvery = 10 * time.Minute

// Sync writes what rows mean. Its Run is a reconciler's.
type Sync struct {
	records  *records.Records
	open     func(context.Context) (Database, error)
	gateways func(context.Context, Database) ([]string, error)
	lead     Lead
	clock    clock.Clock
	log      *slog.Logger

	db    Database // of Run alone
	full  time.Time
	holds func() bool // still the leader; nil: it was not
}

// Lead tells whether this server is the one that writes: nil when it is not,
// else what is asked again right before each write.
type Lead func(ctx context.Context) (holds func() bool, err error)

// alone is the Lead of a cloud with one server.
func alone(context.Context) (func() bool, error) { return func() bool { return true }, nil }

// New makes a sync. open connects to the database, again after it was lost;
// gateways lists the hosts that may hold gateways, the most wanted first; lead
// may be nil.
func New(r *records.Records, open func(context.Context) (Database, error), gateways func(context.Context, Database) ([]string, error), lead Lead, c clock.Clock, log *slog.Logger) *Sync {
	if lead == nil {
		lead = alone
	}
	return &Sync{records: r, open: open, gateways: gateways, lead: lead, clock: c, log: log}
}

// Queue remembers scopes to be rendered again and wakes the reconciler by
// poke. It never blocks.
type Queue struct {
	mu    sync.Mutex
	dirty map[string]bool
	all   bool
	poke  func()
}

// NewQueue makes a queue; poke wakes whoever drains it.
func NewQueue(poke func()) *Queue { return &Queue{dirty: map[string]bool{}, poke: poke} }

// Dirty adds scopes.
func (q *Queue) Dirty(scopes ...string) {
	q.mu.Lock()
	for _, s := range scopes {
		q.dirty[s] = true
	}
	q.mu.Unlock()
	q.poke()
}

// All has everything rendered again, for example when hosts came or went.
func (q *Queue) All() {
	q.mu.Lock()
	q.all = true
	q.mu.Unlock()
	q.poke()
}

func (q *Queue) wantsAll() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = false
	return all
}

func (q *Queue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := slices.SortedFunc(maps.Keys(q.dirty), ovn.CompareScopes)
	q.dirty = map[string]bool{}
	return out
}

// Run applies what the queue holds, or everything when that is due.
func (s *Sync) Run(ctx context.Context, q *Queue) error {
	led := s.holds != nil
	var err error
	if s.holds, err = s.lead(ctx); err != nil {
		return err
	}
	if s.holds == nil { // the leader is told of the same scopes
		q.take()
		return nil
	}
	if !led {
		s.full = time.Time{} // what was told to another is looked for
	}
	if s.db == nil {
		d, err := s.open(ctx)
		if err != nil {
			return err
		}
		s.db, s.full = d, time.Time{}
	}
	if q.wantsAll() || s.clock.Now().Sub(s.full) >= fullEvery {
		err := s.everything(ctx, q)
		if err != nil {
			s.full = time.Time{}
		}
		return err
	}
	var failed []error
	for _, scope := range q.take() {
		if err := s.one(ctx, scope); err != nil {
			failed = append(failed, fmt.Errorf("scope %s: %w", scope, err))
			q.mu.Lock()
			q.dirty[scope] = true
			q.mu.Unlock()
		}
	}
	return errors.Join(failed...)
}

func (s *Sync) one(ctx context.Context, scope string) error {
	rows, err := s.render(ctx, scope)
	if err != nil {
		return err
	}
	if !s.holds() {
		return fault.Unavailablef("another server writes the network now")
	}
	err = s.db.Apply(ctx, scope, rows)
	if fault.Is(err, fault.NotFound) {
		s.full = time.Time{} // a parent is missing that nobody named: look at everything
	}
	return err
}

func (s *Sync) everything(ctx context.Context, q *Queue) error {
	q.take()
	all, err := s.renderAll(ctx)
	if err != nil {
		return err
	}
	if !s.holds() {
		return fault.Unavailablef("another server writes the network now")
	}
	repaired, err := s.db.Resync(ctx, all)
	if err != nil {
		return err
	}
	if repaired > 0 {
		s.log.Info("northbound database brought in line", "scopes", len(all), "repaired", repaired)
	}
	s.full = s.clock.Now()
	return nil
}

// scopes lists all there should be.
func (s *Sync) scopes(ctx context.Context) ([]string, error) {
	out := []string{ovn.GlobalScope}
	r, q := s.records, s.records.DB
	networks, err1 := r.Networks.Where(ctx, q)
	for _, n := range networks {
		out = append(out, network.NetworkScope(n.ID))
	}
	groups, err2 := r.Groups.Where(ctx, q)
	for _, g := range groups {
		out = append(out, network.GroupScope(g.ID))
	}
	addresses, err6 := r.AddressGroups.Where(ctx, q)
	for _, g := range addresses {
		out = append(out, network.AddressGroupScope(g.ID))
	}
	routers, err3 := r.Routers.Where(ctx, q)
	for _, x := range routers {
		out = append(out, network.RouterScope(x.ID))
	}
	ports, err4 := r.Ports.Where(ctx, q)
	for _, p := range ports {
		out = append(out, network.PortScope(p.ID))
	}
	floatings, err5 := r.Floatings.Where(ctx, q)
	for _, f := range floatings {
		out = append(out, network.FloatingScope(f.ID))
	}
	return out, errors.Join(err1, err2, err3, err4, err5, err6)
}

// render reads what a scope is about; nothing when that is gone.
func (s *Sync) render(ctx context.Context, scope string) ([]ovn.Row, error) {
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

func (s *Sync) network(ctx context.Context, id string) (ovn.NetworkView, error) {
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
	return v, err
}

func (s *Sync) port(ctx context.Context, id string) (ovn.PortView, error) {
	p, err := s.records.Ports.Get(ctx, id)
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
func (s *Sync) policy(ctx context.Context, id string) (*network.QoSPolicy, error) {
	if id == "" {
		return nil, nil
	}
	return s.records.Policies.Get(ctx, id)
}

func (s *Sync) floating(ctx context.Context, id string) (ovn.FloatingView, error) {
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

func (s *Sync) router(ctx context.Context, id string) (ovn.RouterView, error) {
	r, err := s.records.Routers.Get(ctx, id)
	if err != nil {
		return ovn.RouterView{}, err
	}
	v := ovn.RouterView{Router: *r}
	if v.Chassis, err = s.gateways(ctx, s.db); err != nil {
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
func (s *Sync) scopesOf(ctx context.Context, v *ovn.RouterView) error {
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

func (s *Sync) routerPort(ctx context.Context, p *network.Port) (ovn.RouterPort, error) {
	n, err := s.records.Networks.Get(ctx, p.NetworkID)
	if err != nil {
		return ovn.RouterPort{}, err
	}
	subnets, err := s.records.SubnetsOf(ctx, s.records.DB, p.NetworkID)
	return ovn.RouterPort{Port: *p, Network: *n, Subnets: subnets}, err
}
