package volumes

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/sim"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/image"
)

// bench is a server whose rows are volumes and a host that keeps them.
type bench struct {
	t   *testing.T
	ctx context.Context
	hub *hub.Hub

	mu       sync.Mutex
	rows     map[string]disk.Spec
	revision int64
}

func newBench(t *testing.T, d disk.Driver) *bench {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b := &bench{t: t, ctx: ctx, rows: map[string]disk.Spec{}}
	log := slog.New(slog.DiscardHandler)
	b.hub = hub.New(hub.Config{Log: log})
	b.hub.Register(hostlink.Volumes, func(context.Context, string) (any, int64, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		var doc disk.Document
		for _, s := range b.rows {
			doc.Volumes = append(doc.Volumes, s)
		}
		return doc, b.revision, nil
	}, nil)
	applier := New(d, clock.Real{}, log)
	a := agent.New(agent.Config{Facts: hostlink.Facts{Host: "h"}, Journal: agent.MemoryJournal(), Log: log,
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Volumes: applier}})
	running, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(running) }() // always nil
	leave, err := inproc.Join(ctx, b.hub, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		leave()
		stop()
		applier.Close()
		<-done
		b.hub.Close()
	})
	return b
}

// put changes rows; a spec without a size removes its volume.
func (b *bench) put(specs ...disk.Spec) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range specs {
		if b.rows[s.ID] = s; s.SizeBytes == 0 {
			delete(b.rows, s.ID)
		}
	}
	b.revision++
	return b.revision
}

func (b *bench) await(revision int64, id string) hostlink.ObjectReport {
	b.t.Helper()
	r, err := b.hub.Await(b.ctx, "h", hostlink.Volumes, revision, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func spec(id string, size int64) disk.Spec {
	return disk.Spec{ID: id, Kind: disk.Volume, SizeBytes: size, Format: disk.Raw}
}

func TestVolumesComeGrowAndGo(t *testing.T) {
	t.Parallel()
	d := sim.New(sim.Config{TotalBytes: 100})
	b := newBench(t, d)
	n := b.put(spec("a", 10), spec("b", 200), spec("c", 20))
	if r := b.await(n, "a"); r.Phase != hostlink.Ready || string(r.Facts) != `{"id":"a","size_bytes":10,"format":"raw"}` {
		t.Errorf("a is %+v", r)
	}
	if r := b.await(n, "b"); r.Phase != hostlink.Failed || r.Error != "There is not enough space on the host" {
		t.Errorf("b is %+v", r)
	}
	n = b.put(spec("a", 30), spec("b", 0), disk.Spec{ID: "c"})
	if r := b.await(n, "a"); string(r.Facts) != `{"id":"a","size_bytes":30,"format":"raw"}` {
		t.Errorf("a is %+v", r)
	}
	for _, id := range []string{"b", "c"} {
		if r := b.await(n, id); r.Phase != hostlink.Absent {
			t.Errorf("%s is %+v", id, r)
		}
	}
	if list, err := d.List(b.ctx); err != nil || len(list) != 1 {
		t.Errorf("the host keeps %+v, %v", list, err)
	}
}

func TestSlowWorkOutlivesDocuments(t *testing.T) {
	t.Parallel()
	made := 0
	var mu sync.Mutex
	d := sim.New(sim.Config{Slow: 300 * time.Millisecond, Fail: func(s disk.Spec) error {
		mu.Lock()
		defer mu.Unlock()
		if s.ID == "slow" {
			made++
		}
		return nil
	}})
	b := newBench(t, d)
	slow := spec("slow", 10)
	slow.Source = disk.Source{Kind: disk.FromImage, ID: "i", Format: "raw"}
	b.await(b.put(slow), "nothing of this name") // settles only when slow is done
	mu.Lock()
	made = 0
	mu.Unlock()
	b.await(b.put(disk.Spec{ID: "slow"}), "slow")
	n := b.put(slow)
	b.hub.Poke("h", hostlink.Volumes)
	for i := range 10 {
		id := fmt.Sprint("quick ", i)
		if r := b.await(b.put(spec(id, 1)), id); r.Phase != hostlink.Ready {
			t.Errorf("%s is %+v", id, r)
		}
	}
	if r := b.await(n, "slow"); r.Phase != hostlink.Ready {
		t.Errorf("slow is %+v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	if made != 1 {
		t.Errorf("ten documents made the slow volume begin %d times", made)
	}
}

func TestWhatMayWorkLaterIsTriedAgain(t *testing.T) {
	t.Parallel()
	tries := 0
	d := sim.New(sim.Config{Fail: func(disk.Spec) error {
		if tries++; tries < 2 {
			return fault.Unavailablef("not now")
		}
		return nil
	}})
	b := newBench(t, d)
	if r := b.await(b.put(spec("a", 10)), "a"); r.Phase != hostlink.Ready {
		t.Errorf("a is %+v", r)
	}
}

// upstream serves one image.
type upstream struct {
	hostlink.Upstream
	raw  []byte
	head image.StreamHead
}

func (u upstream) Open(context.Context, string, any) (io.ReadWriteCloser, error) {
	var b bytes.Buffer
	if err := image.WriteHead(&b, u.head); err != nil {
		return nil, err
	}
	return readOnly{io.NopCloser(io.MultiReader(&b, bytes.NewReader(u.raw)))}, nil
}

func TestImagesAreCheckedOnTheWay(t *testing.T) {
	t.Parallel()
	raw := append(append(bytes.Repeat([]byte("a"), 300<<10), make([]byte, 1<<20)...), []byte("end")...)
	sum := sha512.Sum512(raw)
	u := upstream{raw: raw, head: image.StreamHead{ID: "i", Format: "raw", Size: int64(len(raw)), SHA512: hex.EncodeToString(sum[:])}}
	fetch := func(u upstream) ([]byte, error) {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		_, err = Images{u}.Fetch(context.Background(), "i", out)
		got, rerr := os.ReadFile(out.Name())
		return got, errors.Join(err, rerr)
	}
	if got, err := fetch(u); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d of %d bytes: %v", len(got), len(raw), err)
	}
	short, wrong := u, u
	short.raw = raw[:len(raw)-1]
	wrong.raw = append(bytes.Clone(raw[:len(raw)-1]), 'x')
	for name, u := range map[string]upstream{"short": short, "wrong": wrong} {
		if _, err := fetch(u); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shelf is a driver whose disk can be taken away.
type shelf struct {
	*sim.Driver
	mu   sync.Mutex
	away bool
}

func (s *shelf) take(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *shelf) Ensure(ctx context.Context, spec disk.Spec) (disk.Facts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away && spec.Made {
		return disk.Facts{}, disk.Lost(spec.ID)
	}
	return s.Driver.Ensure(ctx, spec)
}

// A volume whose disk went away holds nothing up, and is told of again when its
// disk is back, without anybody asking; one that is removed meanwhile is gone.
func TestLostVolumesComeBackWithTheirDisk(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d, clk := &shelf{Driver: sim.New(sim.Config{})}, clock.NewFake(time.Unix(1, 0))
	a := New(d, clk, slog.New(slog.DiscardHandler))
	defer a.Close()
	var mu sync.Mutex
	last := map[string]hostlink.ObjectReport{}
	apply := func(specs ...disk.Spec) {
		t.Helper()
		body, err := json.Marshal(disk.Document{Volumes: specs})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Apply(ctx, hostlink.Document{Section: hostlink.Volumes, Body: body}, func(list ...hostlink.ObjectReport) {
			mu.Lock()
			defer mu.Unlock()
			for _, o := range list {
				last[o.ID] = o
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	see := func(id string) hostlink.ObjectReport {
		mu.Lock()
		defer mu.Unlock()
		return last[id]
	}
	made := func(id string) disk.Spec {
		s := spec(id, 10)
		s.Made = true
		return s
	}
	apply(spec("a", 10), spec("b", 10))
	d.take(true)
	apply(made("a"), made("b"))
	for _, id := range []string{"a", "b"} {
		if o := see(id); o.Phase != hostlink.Failed || o.Kept != hostlink.KeptLost {
			t.Errorf("%s without its disk: %+v", id, o)
		}
	}
	clk.Advance(lookAgain)
	apply(made("a")) // b is deleted
	if o := see("b"); o.Phase != hostlink.Absent {
		t.Errorf("deleted without its disk: %+v", o)
	}
	d.take(false)
	for see("a").Phase != hostlink.Ready {
		if ctx.Err() != nil {
			t.Fatalf("with its disk: %+v", see("a"))
		}
		clk.Advance(lookAgain)
		<-time.After(time.Millisecond) // lets it look
	}
	if o := see("a"); o.Kept != "" || o.Error != "" || len(o.Facts) == 0 {
		t.Errorf("with its disk: %+v", o)
	}
	if o := see("b"); o.Phase != hostlink.Absent {
		t.Errorf("what was deleted came back: %+v", o)
	}
}
