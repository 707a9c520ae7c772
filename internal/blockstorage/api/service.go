package volumeapi

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/blockstorage/attachments"
	"github.com/mekcloud/mek/internal/blockstorage/backups"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/groups"
	"github.com/mekcloud/mek/internal/blockstorage/grouptypes"
	"github.com/mekcloud/mek/internal/blockstorage/manageable"
	"github.com/mekcloud/mek/internal/blockstorage/messages"
	"github.com/mekcloud/mek/internal/blockstorage/pools"
	"github.com/mekcloud/mek/internal/blockstorage/qos"
	"github.com/mekcloud/mek/internal/blockstorage/quotas"
	"github.com/mekcloud/mek/internal/blockstorage/snapshots"
	"github.com/mekcloud/mek/internal/blockstorage/transfers"
	"github.com/mekcloud/mek/internal/blockstorage/types"
	"github.com/mekcloud/mek/internal/blockstorage/volumes"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Deps is what block storage is built on.
type Deps struct {
	DB        *db.DB
	Clock     clock.Clock
	Tasks     *task.Engine
	Hosts     volumes.Hosts // hub.Hub
	Images    image.Service
	Servers   blockstorage.Servers // nil: nobody is told that volumes grow
	Quotas    map[string]int       // defaults of the operator, by resource
	Server    string               // name of the machine that runs the server
	Archive   archive.Store        // keeps backups
	Converter volumes.Converter    // nil: volumes are uploaded as raw images only
	Scratch   string               // directory of passing files
	Level     pools.Leveler        // how much the server logs
}

// Service is block storage with all its resources.
type Service struct {
	Volumes *volumes.Volumes
	Backups *backups.Backups

	db          *db.DB
	types       *types.Types
	qos         *qos.Qos
	snapshots   *snapshots.Snapshots
	attachments *attachments.API
	quotas      *quotas.Quotas
	pools       *pools.API
	transfers   *transfers.Transfers
	messages    *messages.Store
	groupTypes  *grouptypes.Types
	groups      *groups.Groups
	relics      *manageable.Store
	manageable  *manageable.API
	limited     *db.Kept[struct{}, []quota.Resource] // what is limited for each volume type
}

// New puts the service together and registers its sagas.
func New(d Deps) *Service {
	s := &Service{db: d.DB, messages: messages.NewStore(d.DB, d.Clock), groupTypes: grouptypes.New(d.DB, d.Clock),
		relics: manageable.NewStore(d.DB), limited: db.Keep[struct{}, []quota.Resource]("blockstorage_types")}
	taken, kept, saved, sets := snapshots.NewStore(d.DB, d.Clock), attachments.NewStore(d.DB), backups.NewStore(d.DB, d.Clock), groups.NewStore(d.DB, d.Clock)
	quota := quotas.Declare(s.counts(), d.Quotas)
	s.types = types.New(d.DB, d.Clock, quotas.FollowType(quota))
	doors := pools.NewDoors(d.DB)
	s.Volumes = volumes.New(volumes.Config{DB: d.DB, Clock: d.Clock, Tasks: d.Tasks, Hosts: d.Hosts, Types: s.types, Snapshots: taken,
		Attachments: kept, Quota: quota, Images: d.Images, Messages: s.messages, Doors: doors, Servers: d.Servers, Backups: saved, Relics: s.relics,
		Groups: sets, Converter: d.Converter, Scratch: d.Scratch})
	s.snapshots = snapshots.New(taken, d.Clock, d.Tasks, s.Volumes, d.Hosts, s.messages, s.relics)
	s.Backups = backups.New(backups.Config{Store: saved, Clock: d.Clock, Tasks: d.Tasks, Volumes: s.Volumes, Snapshots: taken, Messages: s.messages,
		Hosts: d.Hosts, Archive: d.Archive})
	s.groups = groups.New(groups.Config{Store: sets, Tasks: d.Tasks, Volumes: s.Volumes, Snapshots: s.snapshots, Types: s.groupTypes, VolumeTypes: s.types})
	s.qos = qos.New(d.DB, d.Clock, s.types)
	s.attachments = attachments.New(kept, s.Volumes, s.Volumes)
	s.quotas = quotas.New(d.DB, quota)
	s.transfers = transfers.New(d.DB, d.Clock, s.Volumes)
	s.pools = pools.New(lister{s.Volumes}, d.Clock, d.Server, doors, d.Level)
	s.manageable = manageable.New(s.relics, s.Volumes, s.snapshots)
	return s
}

func (s *Service) counts() quotas.Counts {
	return quotas.Counts{Volumes: volumes.Number, Snapshots: snapshots.Number, Gigabytes: gigabytes, Backups: backups.Number,
		BackupGigabytes: backups.GiB, Groups: groups.Number, PerType: s.perType}
}

// perType declares what is limited for each volume type.
func (s *Service) perType(ctx context.Context, q db.Querier) ([]quota.Resource, error) {
	return s.limited.Get(q, struct{}{}, func() ([]quota.Resource, error) { return limitedTypes(ctx, q) })
}

func limitedTypes(ctx context.Context, q db.Querier) ([]quota.Resource, error) {
	all, err := types.NamesIn(ctx, q)
	var out []quota.Resource
	for typeID, name := range all {
		of := func(counts ...func(context.Context, db.Querier, string, string) (int64, error)) quotas.Count {
			return func(ctx context.Context, q db.Querier, project string) (sum int64, err error) {
				for _, count := range counts {
					n, err := count(ctx, q, project, typeID)
					if err != nil {
						return 0, err
					}
					sum += n
				}
				return sum, nil
			}
		}
		out = append(out, quota.Resource{Name: quotas.VolumesOf + name, Default: quota.Unlimited, Count: of(volumes.NumberOfType)},
			quota.Resource{Name: quotas.SnapshotsOf + name, Default: quota.Unlimited, Count: of(snapshots.NumberOfType)},
			quota.Resource{Name: quotas.GigabytesOf + name, Default: quota.Unlimited, Count: of(volumes.GiBOfType, snapshots.GiBOfType)})
	}
	return out, err
}

// gigabytes is the size of a project's volumes and snapshots.
func gigabytes(ctx context.Context, q db.Querier, project string) (int64, error) {
	a, err := volumes.GiB(ctx, q, project)
	if err != nil {
		return 0, err
	}
	b, err := snapshots.GiB(ctx, q, project)
	return a + b, err
}

type lister struct{ volumes *volumes.Volumes }

func (l lister) Pools(ctx context.Context) ([]pools.Pool, error) {
	list, err := l.volumes.Pools(ctx)
	out := make([]pools.Pool, 0, len(list))
	for _, p := range list {
		out = append(out, pools.Pool{Host: p.Host, Alive: p.Alive, TotalGiB: p.TotalGiB, PromisedGiB: p.PromisedGiB, Overcommit: volumes.Overcommit,
			Vendor: volumes.VendorName, Protocol: volumes.StorageProtocol})
	}
	return out, err
}

func (l lister) Offers(ctx context.Context, volumeType string) (bool, error) {
	return l.volumes.Offers(ctx, volumeType)
}

func (l lister) KeptBy(ctx context.Context, host string) ([4]int64, error) {
	k, err := l.volumes.KeptBy(ctx, host)
	return [4]int64{k.Volumes, k.VolumeGiB, k.Snapshots, k.SnapshotGiB}, err
}

// forCompute is block storage as compute sees it.
type forCompute struct {
	*volumes.Volumes
	snapshotter
}

// snapshotter is the part of blockstorage.Service that package snapshots has.
type snapshotter interface {
	Snapshot(ctx context.Context, in blockstorage.NewSnapshot) error
	SnapshotReady(ctx context.Context, id string) error
	DiscardSnapshot(ctx context.Context, id string) error
}

// ForCompute is what compute may ask.
func (s *Service) ForCompute() blockstorage.Service { return forCompute{s.Volumes, s.snapshots} }

// Prepare makes the first data: the default type, and that of consistency groups.
func (s *Service) Prepare(ctx context.Context) error {
	if err := s.types.Prepare(ctx); err != nil {
		return err
	}
	return s.groupTypes.Prepare(ctx)
}

// Render computes what a host shall keep; it is a hostlink.Renderer for section hostlink.Volumes.
func (s *Service) Render(ctx context.Context, host string) (any, int64, error) {
	revision, err := hoststate.Revision(ctx, s.db, host, string(hostlink.Volumes)) // before the rows
	if err != nil {
		return nil, 0, err
	}
	doc := disk.Document{Volumes: []disk.Spec{}}
	for _, specs := range []func(context.Context, string) ([]disk.Spec, error){s.Volumes.Specs, s.snapshots.Specs, s.Backups.Store.Specs, s.relics.Specs} {
		list, err := specs(ctx, host)
		if err != nil {
			return nil, 0, err
		}
		doc.Volumes = append(doc.Volumes, list...)
	}
	return doc, revision, nil
}

// REST is the service's front.
func (s *Service) REST() *rest.Service {
	return &rest.Service{Name: "cinder", Type: "block-storage", Prefix: prefix, Dialect: dialect,
		Rules: slices.Concat(volumes.Rules(), snapshots.Rules(), types.Rules(), attachments.Rules(), quotas.Rules(), pools.Rules(), transfers.Rules(),
			messages.Rules(), qos.Rules(), grouptypes.Rules(), groups.Rules(), backups.Rules(), manageable.Rules()),
		Routes: owned(slices.Concat(versionRoutes(), s.Volumes.Routes(), s.snapshots.Routes(), s.types.Routes(), s.attachments.Routes(),
			s.quotas.Routes(), s.pools.Routes(), s.transfers.Routes(), s.messages.Routes(), s.qos.Routes(), s.groupTypes.Routes(), s.groups.Routes(),
			s.Backups.Routes(), s.manageable.Routes()))}
}
