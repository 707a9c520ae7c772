package imageapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/image/images"
	"github.com/mekcloud/mek/internal/image/members"
	"github.com/mekcloud/mek/internal/image/metadefs"
	"github.com/mekcloud/mek/internal/image/schemas"
	"github.com/mekcloud/mek/internal/image/tasks"
	"github.com/mekcloud/mek/internal/image/transfers"
	"github.com/mekcloud/mek/internal/reconcile"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
)

// Deps are what the service stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	// Dir is the folder of the images' bytes; Reserve bytes of its file system stay free.
	Dir     string
	Reserve int64
	SizeCap int64               // bytes of one image; 0: 1 TiB
	Worker  transfers.Inspector // *worker.Runner
	// Claims say which hosts may read which images; a host that none of them
	// speaks for gets nothing.
	Claims []image.Claims
	// Sagas run imports that go on without their client; nil: there are none.
	Sagas *task.Engine
	// Fetch brings images from addresses that users name; nil: they are not offered that.
	Fetch  transfers.Fetcher
	Region string // of this cloud
	// Alone says that no other server shares the database.
	Alone bool
}

// Service is the image service. Safe for concurrent use.
type Service struct {
	images    *images.Images
	members   *members.Members
	tasks     *tasks.Tasks
	transfers *transfers.Transfers
	metadefs  *metadefs.Metadefs
	files     *files.Store
	methods   []string // of importing
}

// New opens the store and puts the service together. Nothing runs yet.
func New(d Deps) (*Service, error) {
	store, err := files.Open(d.Dir, d.Reserve)
	if err != nil {
		return nil, err
	}
	methods := transfers.ImportMethods(d.Sagas != nil, d.Fetch != nil)
	records := images.New(images.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log, Quota: images.Quota(), Bytes: store, Methods: methods})
	history := tasks.New(d.DB, d.Clock, records)
	return &Service{
		images: records, members: members.New(d.DB, d.Clock, records), tasks: history, files: store, methods: methods, metadefs: metadefs.New(d.DB, d.Clock),
		transfers: transfers.New(transfers.Deps{Records: records, Files: store, Worker: d.Worker, Tasks: history, Claims: d.Claims, Clock: d.Clock,
			Log: d.Log, SizeCap: d.SizeCap, Alone: d.Alone, DB: d.DB, Sagas: d.Sagas, Fetch: d.Fetch, Region: d.Region}),
	}, nil
}

// Close releases the store's folder, after the last request.
func (s *Service) Close() error { return s.files.Close() }

// REST is the service for the front door.
func (s *Service) REST() *rest.Service {
	return &rest.Service{Name: "glance", Type: "image", Prefix: prefix, Dialect: dialect, Rules: slices.Concat(rules(), metadefRules()),
		Routes: slices.Concat(s.discovery(), schemas.Routes(), s.images.Routes(), s.members.Routes(), s.transfers.Routes(s.images), s.tasks.Routes(),
			s.metadefs.Routes())}
}

// Images is what other services may ask.
func (s *Service) Images() image.Service { return s.transfers }

// Stream gives an image's bytes to a host: hostlink's handler for image.StreamKind.
func (s *Service) Stream(ctx context.Context, host string, params json.RawMessage) (io.ReadWriteCloser, error) {
	return s.transfers.Serve(ctx, host, params)
}

// Verify compares records and bytes, for mek doctor; deep reads every byte.
func (s *Service) Verify(ctx context.Context, deep bool) ([]image.Violation, error) {
	return s.transfers.Verify(ctx, deep)
}

// Checks compare records, bytes and what is at work.
func (s *Service) Checks() []check.Check {
	return append(s.transfers.Checks(), s.tasks.Checks()...)
}

// Reconcilers keep records and files together.
func (s *Service) Reconcilers() []reconcile.Reconciler {
	return []reconcile.Reconciler{
		{Name: "image.transfers", Every: time.Minute, Run: s.transfers.Sweep},
		{Name: "image.tasks", Every: time.Hour, Run: s.tasks.Expire},
	}
}
