package networkapi

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/network/addressgroups"
	"github.com/mekcloud/mek/internal/network/addressscopes"
	"github.com/mekcloud/mek/internal/network/attach"
	"github.com/mekcloud/mek/internal/network/bindings"
	"github.com/mekcloud/mek/internal/network/catalog"
	"github.com/mekcloud/mek/internal/network/floatingips"
	"github.com/mekcloud/mek/internal/network/forwardings"
	"github.com/mekcloud/mek/internal/network/groups"
	"github.com/mekcloud/mek/internal/network/hosts"
	"github.com/mekcloud/mek/internal/network/networks"
	"github.com/mekcloud/mek/internal/network/northbound"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/network/ports"
	"github.com/mekcloud/mek/internal/network/qos"
	"github.com/mekcloud/mek/internal/network/quotas"
	"github.com/mekcloud/mek/internal/network/rbac"
	"github.com/mekcloud/mek/internal/network/records"
	"github.com/mekcloud/mek/internal/network/routers"
	"github.com/mekcloud/mek/internal/network/statefulness"
	"github.com/mekcloud/mek/internal/network/subnetpools"
	"github.com/mekcloud/mek/internal/network/subnets"
	"github.com/mekcloud/mek/internal/network/tagging"
	"github.com/mekcloud/mek/internal/network/topologies"
	"github.com/mekcloud/mek/internal/network/trunks"
	"github.com/mekcloud/mek/internal/network/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/internal/reconcile"
	"github.com/mekcloud/mek/internal/rest"
)

// Agents is what the service needs of all hosts; hub.Hub.
type Agents interface {
	Raised(host string, section hostlink.Section, revision int64, objects ...string)
	Names() []string
	Facts(name string) (hostlink.Facts, bool)
}

// Deps is what networking is built on.
type Deps struct {
	DB     *db.DB
	Clock  clock.Clock
	Log    *slog.Logger
	Agents Agents
	Home   string // host on the server's own machine: gateways begin there
	// Homes lists the hosts on the machines of all servers. Nil: it is the only one.
	Homes      func(context.Context) ([]string, error)
	Physical   networks.Physical
	Northbound string // endpoint of OVN's northbound database; empty: there is none
	// Lead tells whether this server writes the northbound database, and gives
	// what tells so again right before each write. Nil: it is the only one.
	Lead   northbound.Lead
	Quotas map[string]int // defaults of the operator, by resource
}

// Service is networking with all its resources.
type Service struct {
	deps    Deps
	records *records.Records
	quota   *quota.Quota
	queue   *northbound.Queue
	sync    *northbound.Sync // nil: no northbound database
	loop    *reconcile.Loop
	attach  *attach.Service
	hosts   *hosts.Hosts
	made    *topologies.Service

	started time.Time
	mu      sync.Mutex
	seen    map[string]catalog.Host // every host since the start
	holders holders                 // of gateways
}

const syncName = "network.northbound"

// New puts the service together.
func New(d Deps) *Service {
	s := &Service{deps: d, seen: map[string]catalog.Host{}, started: d.Clock.Now()}
	watch := records.Watchers{
		Northbound: func(...string) {},
		Host:       func(host string, revision int64, port string) { d.Agents.Raised(host, hostlink.Ports, revision, port) },
		Guests: func(host string, revision int64, server string) {
			d.Agents.Raised(host, hostlink.Guests, revision, server)
		},
	}
	if d.Northbound != "" {
		s.queue = northbound.NewQueue(func() { s.loop.Poke(syncName) })
		watch.Northbound = s.queue.Dirty
	}
	s.records = records.New(d.DB, d.Clock, watch)
	s.quota = quotas.Declare(s.records, d.Quotas)
	s.made = topologies.New(s.records, s.quota, networks.New(s.records, s.quota, d.Physical, s.zones), subnets.New(s.records, s.quota),
		routers.New(s.records, s.quota, s.zones))
	s.attach, s.hosts = attach.New(s.records, s.quota, s.made), hosts.New(s.records)
	var work []reconcile.Reconciler
	if d.Northbound != "" {
		s.sync = northbound.New(s.records, s.openNorthbound, s.gateways, d.Lead, d.Clock, d.Log)
		work = append(work, reconcile.Reconciler{Name: syncName, Every: time.Minute, Run: func(ctx context.Context) error { return s.sync.Run(ctx, s.queue) }},
			reconcile.Reconciler{Name: "network.gateways", Every: watchGateways, Run: s.gatewaysStay})
	}
	s.loop = reconcile.New(d.Clock, d.Log, work...)
	return s
}

func (s *Service) openNorthbound(ctx context.Context) (northbound.Database, error) {
	return ovn.Open(ctx, s.deps.Northbound, nil)
}

// Loop is what keeps it; empty without one.
func (s *Service) Loop() *reconcile.Loop { return s.loop }

// Run keeps the northbound database until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	s.loop.Run(ctx)
	return nil
}

// HostsChanged says that a host came, went or changed: gateways may move.
func (s *Service) HostsChanged() {
	s.listHosts()
	if s.queue != nil {
		s.queue.All()
	}
}

// HostChanged says that one host came or went. Hosts that find a server again do
// so all at once: what is done for each must not look at all.
func (s *Service) HostChanged(name string, alive bool) {
	if facts, ok := s.deps.Agents.Facts(name); ok {
		s.mu.Lock()
		s.notice(name, facts.ID, alive, s.deps.Clock.Now())
		s.mu.Unlock()
	}
	if s.queue != nil {
		s.queue.All()
	}
}

// notice keeps what the list of hosts says of one. The caller holds mu.
func (s *Service) notice(name, hostID string, alive bool, now time.Time) {
	h, known := s.seen[name]
	if !known {
		h = catalog.Host{ID: hostID, Name: name, Zone: "nova", Joined: now}
	}
	if h.Alive = alive; alive {
		h.Seen = now
	}
	s.seen[name] = h
}

// Heard takes what another server told under Topic; Missed says that something
// may have been told while nobody listened.
func (s *Service) Heard(scope string) {
	if s.queue != nil {
		s.queue.Dirty(scope)
	}
}

// Missed has everything rendered again.
func (s *Service) Missed() {
	if s.queue != nil {
		s.queue.All()
	}
}

// Topic is what Heard is for.
const Topic = records.Topic

// listHosts is every host that joined since the start, with whether it lives.
func (s *Service) listHosts() []catalog.Host {
	live := s.deps.Agents.Names()
	now := s.deps.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.seen {
		h.Alive = false
		s.seen[name] = h
	}
	for _, name := range live {
		facts, ok := s.deps.Agents.Facts(name)
		if !ok {
			continue
		}
		s.notice(name, facts.ID, true, now)
	}
	out := make([]catalog.Host, 0, len(s.seen))
	for _, h := range s.seen {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b catalog.Host) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// zones lists the availability zones of the hosts there are.
func (s *Service) zones() []string {
	out := []string{}
	for _, h := range s.listHosts() {
		if h.Zone != "" && !slices.Contains(out, h.Zone) {
			out = append(out, h.Zone)
		}
	}
	slices.Sort(out)
	return out
}

// forgetHost takes a host that is gone off the list.
func (s *Service) forgetHost(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, name)
}

// ForCompute is what compute asks of networks.
func (s *Service) ForCompute() network.ForCompute { return s.attach }

// Checks are the conservation queries of networking.
func (s *Service) Checks() []check.Check {
	out := s.records.Checks()
	if s.sync != nil {
		out = append(out, s.sync.Checks()...)
	}
	return out
}

// ServerPorts lists the ports that have a device, for checks across services.
func (s *Service) ServerPorts(ctx context.Context, q db.Querier) (map[string]records.ServerPort, error) {
	return records.ServerPorts(ctx, q)
}

// Render is the hostlink.Renderer of section Ports.
func (s *Service) Render(ctx context.Context, host string) (any, int64, error) {
	return s.hosts.Render(ctx, host)
}

// RenderSome is the hostlink.Part of section Ports.
func (s *Service) RenderSome(ctx context.Context, host string, ports []string) (any, error) {
	return s.hosts.RenderSome(ctx, host, ports)
}

// Observe is the hostlink.Observer of section Ports.
func (s *Service) Observe(ctx context.Context, r hostlink.Report) error {
	return s.hosts.Observe(ctx, r)
}

// REST is the service for the front door.
func (s *Service) REST() *rest.Service {
	rules := slices.Concat(wire.BaseRules(), networks.Rules(), subnets.Rules(), ports.Rules(), routers.Rules(), floatingips.Rules(), groups.Rules(),
		quotas.Rules(), tagging.Rules(), catalog.Rules(), addressscopes.Rules(), subnetpools.Rules(), addressgroups.Rules(), rbac.Rules(),
		qos.Rules(), trunks.Rules(), forwardings.Rules(), statefulness.Rules(), topologies.Rules(), bindings.Rules())
	routes := slices.Concat(catalog.New(s.records, s.listHosts, s.forgetHost).Routes(), networks.New(s.records, s.quota, s.deps.Physical, s.zones).Routes(),
		subnets.New(s.records, s.quota).Routes(), ports.New(s.records, s.quota).Routes(), routers.New(s.records, s.quota, s.zones).Routes(),
		floatingips.New(s.records, s.quota).Routes(), groups.New(s.records, s.quota).Routes(), quotas.New(s.deps.DB, s.quota).Routes(),
		tagging.New(s.records).Routes(), addressscopes.New(s.records).Routes(), subnetpools.New(s.records, s.quota).Routes(), addressgroups.New(s.records).Routes(),
		rbac.New(s.records, s.quota).Routes(), qos.New(s.records).Routes(), trunks.New(s.records, s.quota).Routes(), forwardings.New(s.records).Routes(),
		statefulness.New(s.records).Routes(), s.made.Routes(), bindings.New(s.records, s.deps.Agents.Names).Routes())
	return &rest.Service{Name: "neutron", Type: "network", Prefix: "/networking", Dialect: dialect, Rules: unique(rules), Routes: conditional(routes)}
}

// unique drops rules that two features declared alike.
func unique(rules []policy.Rule) []policy.Rule {
	seen := map[string]bool{}
	return slices.DeleteFunc(rules, func(r policy.Rule) bool {
		again := seen[r.Name]
		seen[r.Name] = true
		return again
	})
}
