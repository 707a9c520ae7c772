package transfers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/task"
)

// Records are the images' records, as package images keeps them.
type Records interface {
	Get(ctx context.Context, id string) (*image.Image, error)
	All(ctx context.Context) ([]*image.Image, error)
	With(ctx context.Context, owner string, properties map[string]string) ([]*image.Image, error)
	Membership(ctx context.Context, id, project string) (string, error)
	Insert(ctx context.Context, i *image.Image, record event.Record) (*image.Image, error)
	Delete(ctx context.Context, id string, record event.Record, force bool) error
	Begin(ctx context.Context, id, token string, to image.Status, size int64, seize bool) (*image.Image, error)
	Seen(ctx context.Context, id, token string) error
	Finish(ctx context.Context, id, token string, got image.Stored, record event.Record) (*image.Image, error)
	Abort(ctx context.Context, id, token string) error
	Transfers(ctx context.Context, silent time.Duration) ([]image.Transfer, error)
	Usage(ctx context.Context, project string) (limits, used map[string]int64, err error)
	Update(ctx context.Context, id string, record event.Record, change func(*image.Image) error) (*image.Image, error)
	// Withdraw takes an active image back to "queued", without bytes; one that is not active, or gone, is no error.
	Withdraw(ctx context.Context, id string) error
	// Mark sets properties of the service's own; an image that is gone is no error.
	Mark(ctx context.Context, tx *db.Tx, id string, properties map[string]string) error
	// Parse reads the properties of a new image, as a request to create one has them.
	// Its id is the one given unless the body names another.
	Parse(body []byte, id, project string) (*image.Image, error)
	// Locate records where an image's bytes were brought from; an image that is gone is no error.
	Locate(ctx context.Context, tx *db.Tx, id, url string) error
	// Location is where they were brought from; empty: they were given.
	Location(ctx context.Context, id string) (string, error)
}

// Fetcher opens what is at an address that a user chose, and tells its length, -1 when it is not known.
type Fetcher interface {
	Get(ctx context.Context, address string) (io.ReadCloser, int64, error)
}

// Inspector finds out what bytes are, in a sandbox.
type Inspector interface {
	Inspect(ctx context.Context, f *os.File, declared image.Format) (image.Inspection, error)
}

// Tasks keeps what became of imports.
type Tasks interface {
	// Begin records a task, under an id that the caller minted.
	Begin(ctx context.Context, one image.Task) error
	// End records how it ended, and with which image; failure is empty for success.
	End(ctx context.Context, id, image, failure string) error
	// BeginIn and EndIn do so in the caller's transaction.
	BeginIn(ctx context.Context, tx *db.Tx, one image.Task) error
	EndIn(ctx context.Context, tx *db.Tx, id, image, failure string) error
	// WorkIn records that a task that waited is at work.
	WorkIn(ctx context.Context, tx *db.Tx, id string) error
	// Body is a task as the API shows it.
	Body(ctx context.Context, id string) (map[string]any, error)
}

// Deps are what the feature stands on.
type Deps struct {
	Records Records
	Files   *files.Store
	Worker  Inspector
	Tasks   Tasks
	Claims  []image.Claims // which hosts may read which images
	Clock   clock.Clock
	Log     *slog.Logger
	SizeCap int64 // bytes of one image; 0: 1 TiB
	DB      *db.DB
	Sagas   *task.Engine // nil: images are imported from what was staged only
	Fetch   Fetcher      // nil: images are not fetched from addresses
	Region  string       // of this cloud
	// Alone says that no other server shares the database: then a transfer
	// that does not run here does not run at all.
	Alone bool
}

const (
	defaultCap = 1 << 40
	beatEvery  = 10 * time.Second // how often a transfer that moves bytes says so
	silence    = 5 * time.Minute  // after which one of another server counts as dead
)

// Transfers is the feature. Safe for concurrent use.
type Transfers struct {
	Deps
	importer *task.Handle[importParams]
	maker    *task.Handle[makeParams]
	mu       sync.Mutex
	running  map[string]string // token → image
}

// New makes the feature.
func New(d Deps) *Transfers {
	if d.SizeCap == 0 {
		d.SizeCap = defaultCap
	}
	t := &Transfers{Deps: d, running: map[string]string{}}
	if d.Sagas != nil {
		t.importer, t.maker = task.Register(d.Sagas, t.importSaga()), task.Register(d.Sagas, t.makeSaga())
	}
	return t
}

// job is one transfer of bytes into the store.
type job struct {
	image     string
	token     string
	kind      files.Kind   // of the file that results
	during    image.Status // while bytes arrive
	after     image.Status
	announced int64  // bytes, by the client's word; 0: it did not say
	digest    string // that the bytes must have, SHA-512 in hexadecimal; empty: any
	seize     bool
	record    event.Record
}

// receive runs a job. When it fails the image is "queued" again, without bytes.
func (t *Transfers) receive(ctx context.Context, j job, r io.Reader) (*image.Image, error) {
	j.token = id.HexSecret(16)
	t.mark(j.token, j.image)
	defer t.unmark(j.token)
	if j.announced > t.SizeCap {
		return nil, tooLarge(t.SizeCap)
	}
	i, err := t.Records.Begin(ctx, j.image, j.token, j.during, j.announced, j.seize)
	if err != nil {
		return nil, err
	}
	done, err := t.store(ctx, i, j, r)
	if err != nil {
		return nil, errors.Join(err, t.giveUp(context.WithoutCancel(ctx), j))
	}
	return done, nil
}

func tooLarge(most int64) error {
	return fault.New(fault.TooLarge, "The incoming image is too large: The size exceeds the limit of %d bytes", most)
}

func (t *Transfers) store(ctx context.Context, i *image.Image, j job, r io.Reader) (*image.Image, error) {
	most, err := t.room(ctx, i.Owner, j.kind)
	if err != nil {
		return nil, err
	}
	draft, err := t.Files.Write(ctx, i.ID, &beating{r, t, ctx, j, t.Clock.Now()}, most)
	if err != nil {
		return nil, err
	}
	got := image.Stored{Status: j.after, Size: draft.Size, VirtualSize: -1, MD5: draft.MD5, SHA512: draft.SHA512}
	if j.announced > 0 && j.announced != draft.Size {
		err = fault.Invalidf("Size mismatch: %d bytes were announced and %d came", j.announced, draft.Size)
	}
	if err == nil && j.digest != "" && !strings.EqualFold(j.digest, draft.SHA512) {
		err = fault.Invalidf("os_hash_value: (%s) not matched with actual os_hash_value: (%s)", j.digest, draft.SHA512)
	}
	if err == nil && j.kind == files.Image {
		err = t.check(ctx, i, draft.File(), &got)
	}
	if err != nil {
		return nil, errors.Join(err, draft.Discard())
	}
	if err := draft.Keep(ctx, j.kind); err != nil {
		return nil, err
	}
	// the bytes are here whole: a client that hangs up now does not undo them
	return t.Records.Finish(context.WithoutCancel(ctx), i.ID, j.token, got, j.record)
}

// check has the worker look at the bytes and notes what they are. No bytes at
// all pass for any format and are of none: clients that are given no file
// upload an empty one.
func (t *Transfers) check(ctx context.Context, i *image.Image, f *os.File, got *image.Stored) error {
	if got.Size == 0 {
		return nil
	}
	found, err := t.Worker.Inspect(ctx, f, i.Disk)
	if err != nil {
		t.Log.Error("an image could not be inspected", "image", i.ID, "error", err)
		return err
	}
	if got.Content, err = image.Accept(i.Disk, i.Container, found); err != nil {
		return err
	}
	if got.Content != "" {
		got.VirtualSize = found.VirtualSize
	}
	return nil
}

// room is how many bytes a project may still store.
func (t *Transfers) room(ctx context.Context, project string, kind files.Kind) (int64, error) {
	limits, used, err := t.Records.Usage(ctx, project)
	if err != nil {
		return 0, err
	}
	name := "image_size_total"
	if kind == files.Staged {
		name = "image_stage_total"
	}
	limit, ok := limits[name]
	if !ok || limit < 0 {
		return t.SizeCap, nil
	}
	return min(t.SizeCap, max(0, limit-used[name])<<20), nil
}

// giveUp takes the image back and removes the file that a job may have left.
// Only a record without bytes lets go of a file: when it is not certain
// whether Finish was recorded, the record says so.
func (t *Transfers) giveUp(ctx context.Context, j job) error {
	if err := t.Records.Abort(ctx, j.image, j.token); err != nil {
		return err // Sweep tries again
	}
	i, err := t.Records.Get(ctx, j.image)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && i.Status == image.Queued:
		return t.Files.Drop(j.image)
	case err != nil:
		return err
	}
	return nil
}

// promote imports staged bytes: it checks them and makes them the image.
func (t *Transfers) promote(ctx context.Context, i *image.Image, record event.Record) (err error) {
	j := job{image: i.ID, token: id.HexSecret(16), record: record}
	t.mark(j.token, i.ID)
	defer t.unmark(j.token)
	if i, err = t.Records.Begin(ctx, i.ID, j.token, image.Importing, i.Size, false); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the request was accepted
	defer func() {
		if err != nil {
			err = errors.Join(err, t.giveUp(ctx, j))
		}
	}()
	staged, err := t.Files.Open(i.ID, files.Staged)
	if err != nil {
		return err
	}
	defer staged.Close()
	got := image.Stored{Status: image.Active, Size: i.Size, VirtualSize: -1, MD5: i.Checksum, SHA512: i.HashValue}
	if err := t.check(ctx, i, staged.File, &got); err != nil {
		return err
	}
	if err := t.Files.Promote(i.ID); err != nil {
		return err
	}
	_, err = t.Records.Finish(ctx, i.ID, j.token, got, record)
	return err
}

func (t *Transfers) mark(token, image string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[token] = image
}

func (t *Transfers) unmark(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, token)
}

// beating passes bytes on and keeps the transfer's sign of life fresh. It ends
// the transfer when the image is gone, so that a delete frees the disk early.
type beating struct {
	io.Reader
	t    *Transfers
	ctx  context.Context
	job  job
	last time.Time
}

func (b *beating) Read(p []byte) (int, error) {
	if now := b.t.Clock.Now(); now.Sub(b.last) >= beatEvery {
		b.last = now
		if err := b.t.Records.Seen(b.ctx, b.job.image, b.job.token); err != nil {
			return 0, err
		}
	}
	return b.Reader.Read(p)
}
