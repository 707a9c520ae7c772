package app

import (
	"context"
	"os"
	"sync"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/egress"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	imageapi "github.com/mekcloud/mek/internal/image/api"
	"github.com/mekcloud/mek/internal/image/transfers"
	"github.com/mekcloud/mek/internal/image/worker"
)

// imageWorker is the hidden subcommand that parses images in the sandbox.
const imageWorker = "image-worker"

// imageReserve stays free of images on their file system, for the database beside them.
const imageReserve = 256 << 20

// image builds Glance.
func (b *builder) image(context.Context) error {
	claims, sandbox := &imageClaims{}, &inspector{program: b.ImageProgram}
	fetch, err := b.fetcher()
	if err != nil {
		return err
	}
	s, err := imageapi.New(imageapi.Deps{
		DB: b.DB, Clock: b.Clock, Log: b.Log, Dir: b.Config.ImageDir, Reserve: imageReserve,
		Worker: sandbox, Claims: []image.Claims{claims}, Alone: b.DB.Engine() == db.SQLite,
		Sagas: b.tasks, Fetch: fetch, Region: b.Config.Region,
	})
	if err != nil {
		return err
	}
	b.shared.images, b.shared.imageClaims, b.shared.sandbox = s.Images(), claims, sandbox
	b.Hub.HandleStream(image.StreamKind, s.Stream)
	loop := b.reconcilers(s.Reconcilers()...)
	b.background("image", func(ctx context.Context) error {
		loop.Run(ctx)
		return s.Close()
	})
	b.checks.Add(s.Checks()...)
	b.serve(s.REST())
	return nil
}

// fetcher is what users may have images fetched with; nil unless the operator allows it.
func (b *builder) fetcher() (transfers.Fetcher, error) {
	if !b.Config.WebDownload.Enabled {
		return nil, nil
	}
	return egress.New(b.Config.WebDownload.Allow)
}

// imageClaims asks the services that are built after Glance which hosts may
// read an image. It is filled while the control plane is built.
type imageClaims struct{ all []image.Claims }

func (c *imageClaims) add(more image.Claims) { c.all = append(c.all, more) }

// HostMayRead implements image.Claims.
func (c *imageClaims) HostMayRead(ctx context.Context, host, id string) (bool, error) {
	for _, one := range c.all {
		if ok, err := one.HostMayRead(ctx, host, id); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// inspector prepares the sandbox of images when the first one comes: a cloud
// without images starts without it, and a failure is tried again.
type inspector struct {
	program func() (string, error) // nil: this program
	mu      sync.Mutex
	runner  *worker.Runner
}

// Inspect finds out what an image is: see worker.Runner.
func (i *inspector) Inspect(ctx context.Context, f *os.File, declared image.Format) (image.Inspection, error) {
	r, err := i.ready(ctx)
	if err != nil {
		return image.Inspection{}, fault.Unavailablef("Images cannot be checked on this server").Because(err)
	}
	return r.Inspect(ctx, f, declared)
}

func (i *inspector) ready(ctx context.Context) (*worker.Runner, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.runner != nil {
		return i.runner, nil
	}
	opt := worker.Options{Self: []string{"mek", imageWorker}}
	if i.program != nil {
		path, err := i.program()
		if err != nil {
			return nil, err
		}
		opt.Program = path
	}
	r, err := worker.New(ctx, opt)
	if err == nil {
		i.runner = r
	}
	return r, err
}

// Convertible tells whether images of a format can be made of raw disks.
func (i *inspector) Convertible(to image.Format) bool { return worker.Convertible(to) }

// Convert makes an image of another format: see worker.Runner.
func (i *inspector) Convert(ctx context.Context, in *os.File, from image.Format, out *os.File, to image.Format, limit int64) error {
	r, err := i.ready(ctx)
	if err != nil {
		return fault.Unavailablef("Images cannot be converted on this server").Because(err)
	}
	return r.Convert(ctx, in, from, out, to, limit)
}
