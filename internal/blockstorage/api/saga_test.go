package volumeapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/agent"
	agentvolumes "github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage"
	volumeapi "github.com/mekcloud/mek/internal/blockstorage/api"
	"github.com/mekcloud/mek/internal/blockstorage/archive/files"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// gallery is an image service that keeps sizes.
type gallery struct {
	image.Service
	mu   sync.Mutex
	here map[string]int64 // -1: no bytes yet
}

func (g *gallery) Create(_ context.Context, in image.NewImage) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.here[in.ID] = -1
	return nil
}

func (g *gallery) Fill(_ context.Context, id string, r io.Reader) (*image.Image, error) {
	n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // the beginning tells enough
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.here[id]; !ok {
		return nil, fault.NotFoundf("no image")
	}
	g.here[id] = n
	return &image.Image{ID: id}, nil
}

func (g *gallery) Lookup(_ context.Context, _ image.Viewer, id string) (*image.Image, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if size, ok := g.here[id]; ok && size >= 0 {
		return &image.Image{ID: id, Status: image.Active, Content: image.Raw, Disk: image.Raw, Size: size, VirtualSize: size}, nil
	}
	return nil, fault.NotFoundf("no image")
}

func (g *gallery) Discard(_ context.Context, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.here, id)
	return nil
}

// bench is block storage on one simulated host, and a server that can die.
type bench struct {
	t       *testing.T
	db      *db.DB
	disks   *sim.Driver
	agents  []*agent.Agent
	far     *sim.Driver // of host "far", when there is one
	gallery *gallery
	archive *files.Store

	leave   func()
	hub     *hub.Hub
	engine  *task.Engine
	service *volumeapi.Service
	front   http.Handler
}

// anyone is the caller of all requests: an admin of project p.
type anyone struct{}

func (anyone) Authenticate(context.Context, string) (*policy.Credentials, error) {
	return &policy.Credentials{UserID: "u", ProjectID: "p", Roles: []string{"admin", "member", "reader"}}, nil
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, db: dbtest.SQLite(t), gallery: &gallery{here: map[string]int64{}}, archive: files.New(t.TempDir()), leave: func() {}}
	b.disks = b.host("h")
	return b
}

// host adds a simulated host.
func (b *bench) host(name string) *sim.Driver {
	disks, log := sim.New(sim.Config{}), slog.New(slog.DiscardHandler)
	applier := agentvolumes.New(disks, clock.Real{}, log)
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: name, ID: name, DiskGiB: 100}, Journal: agent.MemoryJournal(), Log: log,
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Volumes: applier}})
	b.agents = append(b.agents, a)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }() // always nil
	b.t.Cleanup(func() { b.leave(); b.leave = func() {}; cancel(); applier.Close(); <-done })
	return disks
}

// open makes a new server over the same rows and the same hosts.
func (b *bench) open(o task.Options) *task.Engine {
	b.leave()
	log := slog.New(slog.DiscardHandler)
	b.hub = hub.New(hub.Config{Log: log})
	b.engine = task.New(o)
	b.service = volumeapi.New(volumeapi.Deps{DB: b.db, Clock: clock.Real{}, Tasks: b.engine, Hosts: b.hub, Images: b.gallery, Archive: b.archive})
	if b.db != nil {
		if err := b.service.Prepare(context.Background()); err != nil {
			b.t.Fatal(err)
		}
	}
	b.hub.Register(hostlink.Volumes, b.service.Render, nil)
	b.hub.HandleStream(disk.StreamBackup, b.service.Backups.Stream)
	s := b.service.REST()
	enforcer, err := policy.New(policy.Base(), s.Rules)
	if err != nil {
		b.t.Fatal(err)
	}
	s.Policy = enforcer
	b.front = rest.New(rest.Config{Auth: anyone{}, Clock: clock.Real{}, Log: log}, http.NotFoundHandler(), s)
	h := b.hub
	var outs []func()
	for _, a := range b.agents {
		out, err := inproc.Join(context.Background(), h, a)
		if err != nil {
			b.t.Fatal(err)
		}
		outs = append(outs, out)
	}
	b.leave = func() {
		for _, out := range outs {
			out()
		}
		h.Close()
	}
	return b.engine
}

func (b *bench) do(method, path string, body any) (int, map[string]any) {
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/volume/v3/"+path, strings.NewReader(string(raw)))
	r.Header.Set("X-Auth-Token", "x")
	r.Header.Set("OpenStack-API-Version", "volume 3.71")
	w := httptest.NewRecorder()
	b.front.ServeHTTP(w, r)
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out) // an empty body is none
	return w.Code, out
}

// must fails the request that begins a saga.
func (b *bench) must(method, path string, body any) error {
	if code, out := b.do(method, path, body); code != http.StatusAccepted {
		return fmt.Errorf("%s %s: %d %v", method, path, code, out)
	}
	return nil
}

const (
	vol  = "11111111-1111-4111-8111-111111111111"
	snap = "22222222-2222-4222-8222-222222222222"
)

func newVolume() blockstorage.NewVolume {
	return blockstorage.NewVolume{ID: vol, Viewer: blockstorage.Viewer{ProjectID: "p", UserID: "u"}, SizeGiB: 1}
}

// settle runs the engine until nothing is left to do.
func (b *bench) settle() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.engine.Run(ctx) }()
	if err := b.engine.Idle(ctx); err != nil {
		b.t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		b.t.Error(err)
	}
}

func (b *bench) volume() *blockstorage.Volume {
	v, err := b.service.Volumes.Get(context.Background(), vol)
	if err != nil && !fault.Is(err, fault.NotFound) {
		b.t.Error(err)
	}
	return v
}

// kept lists what the host has once it has settled, in GiB by id.
func (b *bench) kept() map[string]int64 { b.t.Helper(); return b.keptOn("h", b.disks) }

func (b *bench) keptOn(host string, disks *sim.Driver) map[string]int64 {
	b.t.Helper()
	ctx := context.Background()
	if _, revision, err := b.service.Render(ctx, host); err != nil {
		b.t.Error(err)
	} else if _, err := b.hub.Await(ctx, host, hostlink.Volumes, revision, "nothing"); err != nil {
		b.t.Error(err)
	}
	list, err := disks.List(ctx)
	if err != nil {
		b.t.Error(err)
	}
	out := map[string]int64{}
	for _, f := range list {
		out[f.ID] = f.SizeBytes / blockstorage.GiB
	}
	return out
}

func (b *bench) expect(status blockstorage.VolumeStatus, size int64, kept string) {
	b.t.Helper()
	v := b.volume()
	if status == "" && v != nil || status != "" && (v == nil || v.Status != status || v.SizeGiB != size) {
		b.t.Errorf("volume %+v, want %s of %d GiB", v, status, size)
	}
	if got := fmt.Sprint(b.kept()); got != kept {
		b.t.Errorf("the host keeps %s, want %s", got, kept)
	}
}

func (b *bench) world(start func(ctx context.Context) error, done, unwound func()) tasktest.World {
	return tasktest.World{DB: b.db, Open: b.open, Start: start, Done: func(*testing.T) { done() }, Unwound: func(*testing.T) { unwound() },
		Checks: func() []check.Check { return b.service.Checks() }, Agents: func() check.Agents { return b.hub }, Sections: []check.Section{check.Volumes}}
}

func one(size int) string { return fmt.Sprintf("map[%s:%d]", vol, size) }

func TestVolumeCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.create", World: func(t *testing.T) tasktest.World {
		b := newBench(t)
		return b.world(func(ctx context.Context) error { _, err := b.service.Volumes.Create(ctx, newVolume()); return err },
			func() { b.expect(blockstorage.Available, 1, one(1)) },
			func() { b.expect(blockstorage.Error, 1, "map[]") })
	}})
}

func TestVolumeReimaged(t *testing.T) {
	const img = "77777777-7777-4777-8777-777777777777"
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.rewrite", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.gallery.here[img] = 5
		return b.world(func(context.Context) error {
			return b.must("POST", "volumes/"+vol+"/action", map[string]any{"os-reimage": map[string]any{"image_id": img}})
		}, func() {
			b.expect(blockstorage.Available, 1, one(1))
			if v := b.volume(); v.ImageMeta["image_id"] != img || !v.Bootable || v.Epoch == 0 {
				t.Errorf("%+v", v)
			}
		}, func() {
			if v := b.volume(); v == nil || v.Status != blockstorage.Error {
				t.Errorf("%+v", v)
			}
		})
	}})
}

func TestVolumeDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.delete", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		return b.world(func(ctx context.Context) error {
			return b.must("DELETE", "volumes/"+vol, nil)
		}, func() { b.expect("", 0, "map[]") }, b.undeleted)
	}})
}

// undeleted: the row says that the deletion failed; deleting again succeeds.
func (b *bench) undeleted() {
	b.t.Helper()
	if v := b.volume(); v == nil || v.Status != blockstorage.ErrorDeleting {
		b.t.Errorf("volume %+v", v)
	}
	b.open(tasktest.Options(b.db, nil))
	if err := b.must("DELETE", "volumes/"+vol, nil); err != nil {
		b.t.Error(err)
	}
	b.settle()
	b.expect("", 0, "map[]")
}

// newBenchWithVolume has a volume that is made, in the rows and on the host,
// before there is a server.
func newBenchWithVolume(t *testing.T) *bench {
	b, ctx := newBench(t), context.Background()
	err := b.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO blockstorage_volumes (id, project_id, user_id, name, no_name, description, no_description, size, status, before, type_id,
			zone, host, kept, move_to, bootable, multiattach, read_only, transient, metadata, image_meta, snapshot_id, source_volid, image_id, image_format,
			backup_id, relic_id, group_id, epoch, rewrite, migration, error, created_at, updated_at)
			VALUES ($1, 'p', 'u', '', $2, '', $2, 1, 'available', '', '', 'nova', 'h', $2, '', $3, $3, '', $3, '{}', '{}', '', '', '', '', '', '', '', 0, '{}', '', '', 1, 0)`,
			vol, true, false)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.disks.Ensure(ctx, disk.Spec{ID: vol, Kind: disk.Volume, SizeBytes: blockstorage.GiB, Format: disk.Raw}); err != nil {
		b.t.Fatal(err)
	}
	return b
}

func TestVolumeExtendSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.extend", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		return b.world(func(ctx context.Context) error {
			return b.must("POST", "volumes/"+vol+"/action", m{"os-extend": m{"new_size": 3}})
		}, func() { b.expect(blockstorage.Available, 3, one(3)) }, func() {
			if v := b.volume(); v == nil || v.Status != blockstorage.Available || v.SizeGiB != 1 {
				t.Errorf("volume %+v", v)
			}
		})
	}})
}

func TestVolumeUploadSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.volume.upload", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		return b.world(func(ctx context.Context) error {
			return b.must("POST", "volumes/"+vol+"/action", m{"os-volume_upload_image": m{"image_name": "i"}})
		}, func() {
			b.expect(blockstorage.Available, 1, one(1))
			if got := fmt.Sprint(len(b.gallery.here)); got != "1" {
				t.Errorf("%s images", got)
			}
			for id, n := range b.gallery.here {
				if n != 1<<20 {
					t.Errorf("image %s got %d bytes", id, n)
				}
			}
		}, func() {
			b.expect(blockstorage.Available, 1, one(1))
			for id, n := range b.gallery.here {
				if n >= 0 {
					t.Errorf("image %s with %d bytes is left", id, n)
				}
			}
		})
	}})
}

func (b *bench) takeSnapshot(ctx context.Context) error {
	code, out := b.do("POST", "snapshots", m{"snapshot": m{"volume_id": vol}})
	if code != http.StatusAccepted {
		return fmt.Errorf("%d %v", code, out)
	}
	return nil
}

// snapshots lists the statuses of all snapshots.
func (b *bench) snapshots() string {
	_, out := b.do("GET", "snapshots", nil)
	var all []string
	for _, s := range out["snapshots"].([]any) {
		all = append(all, s.(m)["status"].(string))
	}
	return fmt.Sprint(all)
}

func TestSnapshotCreateSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.snapshot.create", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		return b.world(b.takeSnapshot, func() {
			if got := b.snapshots(); got != "[available]" || len(b.kept()) != 2 {
				t.Errorf("snapshots %s, the host keeps %v", got, b.kept())
			}
		}, func() {
			if got := b.snapshots(); got != "[error]" || len(b.kept()) != 1 {
				t.Errorf("snapshots %s, the host keeps %v", got, b.kept())
			}
		})
	}})
}

// withSnapshot adds a snapshot that is taken.
func (b *bench) withSnapshot() {
	b.t.Helper()
	ctx := context.Background()
	err := b.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO blockstorage_snapshots (id, project_id, user_id, volume_id, name, no_name, description, no_description, size,
					status, progress, type_id, host, kept, guest, bootable, metadata, image_meta, group_snapshot_id, relic_id, error, created_at, updated_at)
					VALUES ($1, 'p', 'u', $2, '', $3, '', $3, 1, 'available', '100%', '', 'h', $3, '', $4, '{}', '{}', '', '', '', 1, 0)`, snap, vol, true, false)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.disks.Ensure(ctx, disk.Spec{ID: snap, Kind: disk.Snapshot, SizeBytes: blockstorage.GiB, Format: disk.Raw}); err != nil {
		b.t.Fatal(err)
	}
}

func TestSnapshotDeleteSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "blockstorage.snapshot.delete", World: func(t *testing.T) tasktest.World {
		b := newBenchWithVolume(t)
		b.withSnapshot()
		return b.world(func(context.Context) error {
			return b.must("DELETE", "snapshots/"+snap, nil)
		}, func() { b.expect(blockstorage.Available, 1, one(1)) }, func() {
			if got := b.snapshots(); got != "[error_deleting]" {
				t.Errorf("snapshots %s", got)
			}
			b.open(tasktest.Options(b.db, nil))
			if err := b.must("DELETE", "snapshots/"+snap, nil); err != nil {
				t.Error(err)
			}
			b.settle()
			b.expect(blockstorage.Available, 1, one(1))
		})
	}})
}

func TestEverySagaHasAFixture(t *testing.T) {
	b := newBench(t)
	tasktest.RequireFixtures(t, ".", b.open(tasktest.Options(b.db, nil)))
}
