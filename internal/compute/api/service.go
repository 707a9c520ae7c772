package computeapi

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/aggregates"
	"github.com/mekcloud/mek/internal/compute/consoles"
	"github.com/mekcloud/mek/internal/compute/flavors"
	"github.com/mekcloud/mek/internal/compute/groups"
	"github.com/mekcloud/mek/internal/compute/hosts"
	"github.com/mekcloud/mek/internal/compute/keypairs"
	"github.com/mekcloud/mek/internal/compute/proxies"
	"github.com/mekcloud/mek/internal/compute/quotas"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/compute/servers"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Deps is what the compute service is built on.
type Deps struct {
	DB        *db.DB
	Clock     clock.Clock
	Log       *slog.Logger
	Tasks     *task.Engine
	Agents    hostlink.Hosts
	Server    string         // this server's host name
	Quotas    map[string]int // defaults of the operator, by resource
	Placement hosts.Placement
	Allocator placement.Allocator
	Projects  quotas.Projects
	Images    image.Service
	Networks  network.ForCompute
	Volumes   blockstorage.Service
	Front     func() http.Handler // the front door, once the cloud is built
	People    identity.Standing
	Sealer    servers.Sealer

	ConfirmAfter, KeepHistory time.Duration // see servers.Deps
}

// Service is the compute service with all its resources.
type Service struct {
	Servers  *servers.Servers
	Hosts    *hosts.Hosts
	Consoles *consoles.Consoles
	// Aggregates tell which images hosts fetch ahead of use.
	Aggregates *aggregates.Aggregates

	flavors  *flavors.Flavors
	keypairs *keypairs.KeyPairs
	quotas   *quotas.Quotas
	groups   *groups.Groups
	networks *proxies.Networks
	images   *proxies.Images
}

// New puts the service together and registers its sagas.
func New(d Deps) *Service {
	s := &Service{flavors: flavors.New(d.DB, d.Clock), networks: proxies.NewNetworks(d.Front), images: proxies.NewImages(d.Front)}
	quota := quotas.Declare(counts{}, d.Quotas)
	s.quotas = quotas.New(d.DB, quota, d.Projects)
	s.keypairs = keypairs.New(d.DB, d.Clock, s.quotas)
	s.Hosts = hosts.New(d.DB, d.Clock, d.Placement, d.Agents, residents{s}, d.Server)
	s.groups = groups.New(d.DB, d.Clock, quota, residents{s})
	s.Aggregates = aggregates.New(aggregates.Deps{DB: d.DB, Clock: d.Clock, Hosts: s.Hosts, Images: d.Images, Tasks: d.Tasks, Agents: d.Agents})
	s.Servers = servers.New(servers.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log, Tasks: d.Tasks, Agents: d.Agents, Hosts: schedulerHosts{s.Hosts},
		Flavors: s.flavors, Keys: s.keypairs, Images: d.Images, Networks: d.Networks, Volumes: d.Volumes, Placement: d.Allocator, Quota: quota,
		Groups: groupRules{s.groups}, Sealer: d.Sealer, ConfirmAfter: d.ConfirmAfter, KeepHistory: d.KeepHistory})
	s.Consoles = consoles.New(d.DB, d.Clock, s.Servers, d.Agents, d.People)
	return s
}

// REST is the service's front.
func (s *Service) REST() *rest.Service {
	actions := s.Servers.Actions()
	maps.Copy(actions, s.Consoles.Actions(s.Servers.Find))
	maps.Copy(actions, s.networks.Actions(s.Servers.Find))
	maps.Copy(actions, s.networks.AddressActions(s.Servers.Find))
	own := append(s.Servers.Routes(), rest.Route{Method: "POST", Path: "/v2.1/servers/{id}/action", Actions: actions})
	routes := slices.Concat(versionRoutes(), s.flavors.Routes(), s.keypairs.Routes(), s.quotas.Routes(), s.Hosts.Routes(), s.groups.Routes(),
		s.Aggregates.Routes(), s.Consoles.Routes(s.Servers.Find), s.networks.Routes(s.Servers.Find), s.images.Routes(), s.networks.NetworkRoutes(), s.networks.VolumeRoutes(),
		own, volumesBoot(own), goneRoutes())
	return &rest.Service{Name: "nova", Type: "compute", Prefix: prefix, Dialect: dialect, Routes: routes,
		Rules: slices.Concat(rules(), flavors.Rules(), keypairs.Rules(), quotas.Rules(), hosts.Rules(), groups.Rules(), aggregates.Rules(),
			consoles.Rules(), proxies.Rules(), proxies.AddressRules(), proxies.NetworkRules(), proxies.VolumeRules(), proxies.ImageRules(), servers.Rules())}
}

// counts counts what quotas limit.
type counts struct{}

type useKey struct{ project string }

// projectUse adds a project's servers up once for all that is limited of them.
func projectUse(ctx context.Context, q db.Querier, project string) (servers.ProjectUsage, error) {
	return quota.Once(ctx, useKey{project}, func() (servers.ProjectUsage, error) { return servers.ProjectUse(ctx, q, project) })
}

func (counts) Instances(ctx context.Context, q db.Querier, project string) (int64, error) {
	use, err := projectUse(ctx, q, project)
	return use.Instances, err
}

func (counts) Cores(ctx context.Context, q db.Querier, project string) (int64, error) {
	use, err := projectUse(ctx, q, project)
	return use.Cores, err
}

func (counts) MemoryMiB(ctx context.Context, q db.Querier, project string) (int64, error) {
	use, err := projectUse(ctx, q, project)
	return use.MemoryMiB, err
}

func (counts) ServerGroups(ctx context.Context, q db.Querier, project string) (int64, error) {
	return groups.Count(ctx, q, project)
}

// residents tells hosts and groups of their servers.
type residents struct{ service *Service }

func (r residents) HostUse(ctx context.Context) (map[string]hosts.Use, error) {
	all, err := r.service.Servers.HostUse(ctx)
	out := make(map[string]hosts.Use, len(all))
	for host, u := range all {
		out[host] = hosts.Use(u)
	}
	return out, err
}

func (r residents) OnHost(ctx context.Context, host string) ([]hosts.Resident, error) {
	list, err := r.service.Servers.OnHost(ctx, host)
	out := make([]hosts.Resident, len(list))
	for i, one := range list {
		out[i] = hosts.Resident{ID: one.ID, InstanceName: servers.InstanceName(one)}
	}
	return out, err
}

func (r residents) InGroups(ctx context.Context, groups []string) (map[string][]string, error) {
	return r.service.Servers.InGroups(ctx, groups)
}

func (r residents) LeaveGroup(ctx context.Context, tx *db.Tx, group string) error {
	return r.service.Servers.LeaveGroup(ctx, tx, group)
}

// schedulerHosts shows hosts to the scheduler.
type schedulerHosts struct{ hosts *hosts.Hosts }

func (s schedulerHosts) SchedulerHosts(ctx context.Context) ([]scheduler.Host, error) {
	list, err := s.hosts.Recent(ctx)
	out := make([]scheduler.Host, len(list))
	for i, h := range list {
		out[i] = schedulerHost(h)
	}
	return out, err
}

func (s schedulerHosts) SchedulerHost(ctx context.Context, name string) (scheduler.Host, bool, error) {
	h, err := s.hosts.RecentByName(ctx, name)
	if h == nil {
		return scheduler.Host{}, false, err
	}
	return schedulerHost(h), true, nil
}

func (s schedulerHosts) SchedulerHostByID(ctx context.Context) (func(string) (scheduler.Host, bool), error) {
	find, err := s.hosts.RecentByID(ctx)
	return func(id string) (scheduler.Host, bool) {
		h := find(id)
		if h == nil {
			return scheduler.Host{}, false
		}
		return schedulerHost(h), true
	}, err
}

func schedulerHost(h *hosts.Host) scheduler.Host {
	return scheduler.Host{ID: h.ID, Name: h.Name, Zone: h.Zone, Usable: h.Usable(), Up: h.Up, Silent: h.Silent, Fenced: h.ForcedDown, LiveMigration: h.Facts.More["live_migration"] == "yes"}
}

// groupRules answers what a group asks of its members' places.
type groupRules struct{ groups *groups.Groups }

func (g groupRules) Rule(ctx context.Context, project, group string) (servers.GroupRule, error) {
	found, err := g.groups.Get(ctx, group)
	if err == nil && found.ProjectID != project {
		err = fault.NotFoundf("Instance group %s could not be found.", group)
	}
	if err != nil {
		return servers.GroupRule{}, err
	}
	return servers.GroupRule{Policy: found.Policy, MaxPerHost: found.MaxPerHost}, nil
}

func (g groupRules) Lock(ctx context.Context, tx *db.Tx, group string) (servers.GroupRule, error) {
	found, err := g.groups.Lock(ctx, tx, group)
	if err != nil {
		return servers.GroupRule{}, err
	}
	return servers.GroupRule{Policy: found.Policy, MaxPerHost: found.MaxPerHost}, nil
}
