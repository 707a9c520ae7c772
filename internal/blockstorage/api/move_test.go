package volumeapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	agentvolumes "github.com/mekcloud/mek/internal/agent/volumes"
	"github.com/mekcloud/mek/internal/blockstorage"
	volumeapi "github.com/mekcloud/mek/internal/blockstorage/api"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/files"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

// filesHost joins a host that keeps volumes as files and gives its driver.
func filesHost(t *testing.T, h *hub.Hub, name string) *files.Driver {
	t.Helper()
	relay, log := &hostlink.Relay{}, slog.New(slog.DiscardHandler)
	d, err := files.New(files.Config{Dir: t.TempDir(), Peers: agentvolumes.Peers{Upstream: relay}})
	if err != nil {
		t.Fatal(err)
	}
	applier := agentvolumes.New(d, clock.Real{}, log)
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: name, ID: name, DiskGiB: 100}, Journal: agent.MemoryJournal(), Relay: relay, Log: log,
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Volumes: applier}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }() // always nil
	leave, err := inproc.Join(ctx, h, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leave(); cancel(); applier.Close(); <-done })
	return d
}

func TestVolumesMoveToTheirServersHost(t *testing.T) {
	t.Parallel()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	h := hub.New(hub.Config{Log: log})
	t.Cleanup(h.Close)
	database := dbtest.One(t)
	engine := task.New(tasktest.Options(database, nil))
	s := volumeapi.New(volumeapi.Deps{DB: database, Clock: clock.Real{}, Tasks: engine, Hosts: h})
	if err := s.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	h.Register(hostlink.Volumes, s.Render, nil)
	h.HandleStream(disk.StreamRead, s.Volumes.Stream)
	hosts := map[string]*files.Driver{"h1": filesHost(t, h, "h1"), "h2": filesHost(t, h, "h2")}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- engine.Run(running) }()
	t.Cleanup(func() { stop(); <-done })

	in := newVolume()
	in.Host = "h1"
	if _, err := s.Volumes.Create(ctx, in); err != nil {
		t.Fatal(err)
	}
	v, err := s.Volumes.Ready(ctx, vol)
	if err != nil || v.Host != "h1" {
		t.Fatalf("made on %+v, %v", v, err)
	}
	file, err := hosts["h1"].Locate(ctx, vol)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("what the guest wrote"), 700<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // every call may be repeated
		if _, err := s.Volumes.Reserve(ctx, blockstorage.Reservation{ID: snap, VolumeID: vol, ServerID: "server", Viewer: in.Viewer}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if v, err = s.Volumes.Connect(ctx, snap, "h2"); err != nil || v.Host != "h2" || v.MoveTo != "" || v.Status != blockstorage.Attaching {
			t.Fatalf("connected: %+v, %v", v, err)
		}
	}
	r, facts, err := hosts["h2"].Open(ctx, vol)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 20)
	if _, err := r.(io.ReaderAt).ReadAt(got, 700<<20); err != nil || !bytes.Equal(got, []byte("what the guest wrote")) || facts.SizeBytes != blockstorage.GiB {
		t.Errorf("on the new host: %q of %d bytes, %v", got, facts.SizeBytes, err)
	}
	_, revision, err := s.Render(ctx, "h1")
	if err != nil {
		t.Fatal(err)
	}
	if report, err := h.Await(ctx, "h1", hostlink.Volumes, revision, vol); err != nil || report.Phase != hostlink.Absent {
		t.Errorf("the old host: %+v, %v", report, err)
	}
	if _, err := hosts["h1"].Locate(ctx, vol); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the old host keeps the volume: %v", err)
	}
	if err := s.Volumes.Complete(ctx, snap, "/dev/vdb"); err != nil {
		t.Fatal(err)
	}
	if err := s.Volumes.Discard(ctx, vol); !fault.Is(err, fault.Invalid) {
		t.Errorf("a volume in use is discarded: %v", err)
	}
	if _, err := s.Volumes.Connect(ctx, snap, "h1"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a volume that a server has open is moved: %v", err)
	}
	for range 2 {
		if err := s.Volumes.Detach(ctx, snap); err != nil {
			t.Fatal(err)
		}
	}
	if v, err = s.Volumes.Get(ctx, vol); err != nil || v.Status != blockstorage.Available {
		t.Errorf("after the detachment: %+v, %v", v, err)
	}
	if _, err := s.Volumes.Reserve(ctx, blockstorage.Reservation{ID: snap, VolumeID: vol, ServerID: "server", Viewer: in.Viewer}); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := s.Volumes.Connect(soon, snap, "h3"); err == nil {
		t.Error("connected to a host that is not there")
	}
	for _, keep := range []string{"h3", ""} { // its server is on its way there, and then is not
		if err := s.Volumes.Disconnect(ctx, snap, keep); err != nil {
			t.Fatal(err)
		}
		if v, err = s.Volumes.Get(ctx, vol); err != nil || v.MoveTo != keep || v.Host != "h2" || v.Status == blockstorage.Available {
			t.Errorf("after a connection that is given up, except to %q: %+v, %v", keep, v, err)
		}
	}
	again, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := s.Volumes.Connect(again, snap, "h3"); err == nil {
		t.Error("connected to a host that is not there")
	}
	if err := s.Volumes.Detach(ctx, snap); err != nil {
		t.Fatal(err)
	}
	if v, err = s.Volumes.Get(ctx, vol); err != nil || v.MoveTo != "" || v.Host != "h2" || v.Status != blockstorage.Available {
		t.Errorf("after an attachment that ended on the volume's way: %+v, %v", v, err)
	}
}
