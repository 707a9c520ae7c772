package volumeapi

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/blockstorage/attachments"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/messages"
	"github.com/mekcloud/mek/internal/blockstorage/pools"
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
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Deps is what block storage is built on.
type Deps struct {
	DB      *db.DB
	Clock   clock.Clock
	Tasks   *task.Engine
	Hosts   volumes.Hosts // hub.Hub
	Images  image.Service
	Servers blockstorage.Servers // nil: nobody is told that volumes grow
	Quotas  map[string]int       // defaults of the operator, by resource
	Server  string               // name of the machine that runs the server
}

// Service is block storage with all its resources.
type Service struct {
	Volumes *volumes.Volumes

	db          *db.DB
	types       *types.Types
	snapshots   *snapshots.Snapshots
	attachments *attachments.API
	quotas      *quotas.Quotas
	pools       *pools.API
	transfers   *transfers.Transfers
	messages    *messages.Store
}

// New puts the service together and registers its sagas.
func New(d Deps) *Service {
	s := &Service{db: d.DB, types: types.New(d.DB, d.Clock), messages: messages.NewStore(d.DB, d.Clock)}
	taken, kept := snapshots.NewStore(d.DB), attachments.NewStore(d.DB)
	quota := quotas.Declare(volumes.Number, snapshots.Number, gigabytes, d.Quotas)
	doors := pools.NewDoors(d.DB)
	s.Volumes = volumes.New(volumes.Config{DB: d.DB, Clock: d.Clock, Tasks: d.Tasks, Hosts: d.Hosts, Types: s.types, Snapshots: taken,
		Attachments: kept, Quota: quota, Images: d.Images, Messages: s.messages, Doors: doors, Servers: d.Servers})
	s.snapshots = snapshots.New(taken, d.Clock, d.Tasks, s.Volumes, d.Hosts, s.messages)
	s.attachments = attachments.New(kept, s.Volumes, s.Volumes)
	s.quotas = quotas.New(d.DB, quota, s.types)
	s.transfers = transfers.New(d.DB, d.Clock, s.Volumes)
	s.pools = pools.New(lister{s.Volumes}, d.Clock, d.Server, doors)
	return s
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

// Prepare makes the first data: the default type.
func (s *Service) Prepare(ctx context.Context) error { return s.types.Prepare(ctx) }

// Render computes what a host shall keep; it is a hostlink.Renderer for section hostlink.Volumes.
func (s *Service) Render(ctx context.Context, host string) (any, int64, error) {
	revision, err := hoststate.Revision(ctx, s.db, host, string(hostlink.Volumes)) // before the rows
	if err != nil {
		return nil, 0, err
	}
	list, err := s.Volumes.Specs(ctx, host)
	if err != nil {
		return nil, 0, err
	}
	more, err := s.snapshots.Specs(ctx, host)
	if err != nil {
		return nil, 0, err
	}
	return disk.Document{Volumes: slices.Concat(list, more)}, revision, nil
}

// REST is the service's front.
func (s *Service) REST() *rest.Service {
	return &rest.Service{Name: "cinder", Type: "block-storage", Prefix: prefix, Dialect: dialect,
		Rules: slices.Concat(volumes.Rules(), snapshots.Rules(), types.Rules(), attachments.Rules(), quotas.Rules(), pools.Rules(), transfers.Rules(), messages.Rules()),
		Routes: slices.Concat(versionRoutes(), s.Volumes.Routes(), s.snapshots.Routes(), s.types.Routes(), s.attachments.Routes(),
			s.quotas.Routes(), s.pools.Routes(), s.transfers.Routes(), s.messages.Routes())}
}
