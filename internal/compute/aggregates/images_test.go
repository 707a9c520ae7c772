package aggregates

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/agent/guests"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/hostlink/inproc"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/task"
	"github.com/mekcloud/mek/internal/task/tasktest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	good  = "33333333-3333-4333-8333-333333333331"
	other = "33333333-3333-4333-8333-333333333332"
	iso   = "33333333-3333-4333-8333-333333333333" // that no server is made of
)

// rack is a host that outlives the server, and an aggregate it is in.
type rack struct {
	t      *testing.T
	db     *db.DB
	state  *sim.State
	driver *sim.Driver
	relay  *hostlink.Relay
	agent  *agent.Agent
	stop   func()
	hub    *hub.Hub
	leave  func()
	s      *Aggregates
}

func (*rack) SetZone(context.Context, *db.Tx, string, string) error { return nil }

func (*rack) Answers(_ context.Context, host string) (bool, error) { return host == "host-a", nil }

func (*rack) Lookup(_ context.Context, _ image.Viewer, id string) (*image.Image, error) {
	switch id {
	case good, other:
		return &image.Image{ID: id, Status: image.Active, Content: image.Raw}, nil
	case iso:
		return &image.Image{ID: id, Status: image.Active, Content: image.Format("iso")}, nil
	}
	return nil, fault.NotFoundf("no image %s", id)
}

// stream is the image service's handler: it asks who may read.
func (r *rack) stream(ctx context.Context, host string, params json.RawMessage) (io.ReadWriteCloser, error) {
	var p image.StreamParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	if ok, err := r.s.HostMayRead(ctx, host, p.ID); err != nil || !ok {
		return nil, fault.NotFoundf("host %s may not read it: %v", host, err)
	}
	return content{bytes.NewReader([]byte("bytes of " + p.ID))}, nil
}

type content struct{ io.Reader }

func (content) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (content) Close() error              { return nil }

// source is the host's way to images.
type source struct{ relay *hostlink.Relay }

func (s source) Open(ctx context.Context, id string) (io.ReadCloser, guest.ImageInfo, error) {
	stream, err := s.relay.Open(ctx, image.StreamKind, image.StreamParams{ID: id})
	return stream, guest.ImageInfo{Format: "raw"}, err
}

func newRack(t *testing.T) *rack {
	r := &rack{t: t, db: dbtest.One(t), state: sim.NewState(), relay: &hostlink.Relay{}}
	r.begin()
	t.Cleanup(func() {
		r.close()
		r.stop()
	})
	ctx := t.Context()
	err := r.db.Write(ctx, func(tx *db.Tx) error {
		return rows.Insert(ctx, tx, &Aggregate{ID: "agg", Serial: 1, Name: "rack", Hosts: db.J([]string{"host-a", "gone-1", "gone-2", "gone-3", "gone-4", "gone-5"}),
			Metadata: db.J(map[string]string{})})
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// begin starts the host's agent.
func (r *rack) begin() {
	log := slog.New(slog.DiscardHandler)
	r.driver = sim.New(sim.Config{Clock: clock.Real{}, State: r.state, Images: source{r.relay}})
	applier := guests.New(r.driver, clock.Real{}, log)
	r.agent = agent.New(agent.Config{Relay: r.relay, Journal: agent.MemoryJournal(), Log: log, Facts: hostlink.Facts{Host: "host-a", ID: "a"},
		Appliers: map[hostlink.Section]hostlink.Applier{hostlink.Guests: applier}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.agent.Run(ctx) }() // it returns when ctx ends
	r.stop = func() {
		cancel()
		<-done
		applier.Close()
		if err := r.driver.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rack) join() {
	var err error
	if r.leave, err = inproc.Join(context.Background(), r.hub, r.agent); err != nil {
		r.t.Fatal(err)
	}
}

// dies is the end of the agent, and of what it remembers; the host has its images still.
func (r *rack) dies() {
	r.leave()
	r.stop()
	r.begin()
	r.join()
}

func (r *rack) close() {
	if r.hub != nil {
		r.leave()
		r.hub.Close()
	}
}

func (r *rack) open(o task.Options) *task.Engine {
	r.close()
	if o.DB == nil {
		o.DB = r.db
	}
	engine := task.New(o)
	r.hub = hub.New(hub.Config{Log: slog.New(slog.DiscardHandler)})
	r.s = New(Deps{DB: r.db, Clock: clock.Real{}, Hosts: r, Images: r, Tasks: engine, Agents: r.hub})
	r.hub.HandleStream(image.StreamKind, r.stream)
	r.join()
	return engine
}

// ended is what the events say of hosts, and checks that nothing is left.
func (r *rack) ended(t *testing.T) map[string]string {
	t.Helper()
	ctx := context.Background()
	if _, err := outbox.Publish(ctx, r.db); err != nil {
		t.Fatal(err)
	}
	told, starts, ends, index := map[string]string{}, 0, 0, 0
	list, err := outbox.Read(ctx, r.db, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		switch p := e.Record.Payload; e.Record.Action {
		case "cache_images":
			starts++
		case "cache_images.end":
			ends++
		case "cache_images.progress":
			index++
			if fmt.Sprint(p["index"]) != fmt.Sprint(index) || p["name"] != "rack" || told[p["host"].(string)] != "" {
				t.Errorf("progress %d: %v", index, p)
			}
			told[p["host"].(string)] = fmt.Sprint(p["images_cached"], p["images_failed"])
		}
	}
	left, err := imageHosts.Count(ctx, r.db)
	requests, e := imageRequests.Count(ctx, r.db)
	if starts != 1 || ends != 1 || index != 6 || left+requests != 0 || err != nil || e != nil {
		t.Errorf("%d starts, %d ends, %d hosts; %d hosts and %d requests are left (%v, %v)", starts, ends, index, left, requests, err, e)
	}
	for host, got := range told {
		if host != "host-a" && got != fmt.Sprintf("[] [%s %s %s]", good, other, iso) {
			t.Errorf("host %s, which is down: %s", host, got)
		}
	}
	if ok, err := r.s.HostMayRead(ctx, "host-a", good); ok || err != nil {
		t.Errorf("the host may read the image still (%v)", err)
	}
	return told
}

// TestImagesSaga has a host fetch two images, and refuse a third, under every fault.
func TestImagesSaga(t *testing.T) {
	tasktest.Exercise(t, tasktest.Fixture{Op: "compute.aggregate.images", World: func(t *testing.T) tasktest.World {
		r := newRack(t)
		return tasktest.World{DB: r.db, Open: r.open, AgentDies: r.dies, Checks: func() []check.Check { return r.s.Checks() },
			Start: func(ctx context.Context) error {
				return r.s.fetchImages(ctx, 1, []string{good, other, iso}, event.Record{ProjectID: "p", UserID: "u", RequestID: "req-1"})
			},
			Done: func(t *testing.T) {
				if got, want := r.ended(t)["host-a"], fmt.Sprintf("[%s %s] [%s]", good, other, iso); got != want {
					t.Errorf("the host has %s, want %s", got, want)
				}
				if len(r.state.Images) != 2 || r.state.Images[good] != int64(len("bytes of "+good)) {
					t.Errorf("images of the host: %v", r.state.Images)
				}
			},
			Unwound: func(t *testing.T) { // what the host got by then is of use
				if got := r.ended(t)["host-a"]; !strings.Contains(got, iso) {
					t.Errorf("the host has %s", got)
				}
			}}
	}})
}

// TestTurns gives turns to few hosts at once, the oldest first.
func TestTurns(t *testing.T) {
	r := newRack(t)
	r.open(tasktest.Options(r.db, nil)) // it does not run: turns stay
	ctx := t.Context()
	for i := range 2 {
		if err := r.s.fetchImages(ctx, 1, []string{good}, event.Record{RequestID: fmt.Sprint("req-", i)}); err != nil {
			t.Fatal(err)
		}
	}
	turns := func() (running []string) {
		all, err := imageHosts.Find(ctx, r.db, is("running", true))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			running = append(running, one.ID)
		}
		slices.Sort(running)
		return running
	}
	first := turns()
	if len(first) != hostsAtOnce {
		t.Fatalf("%d hosts have their turn", len(first))
	}
	end := func() {
		if err := r.db.Write(ctx, func(tx *db.Tx) error { return r.s.hostEnded(ctx, tx, first[0], nil) }); err != nil {
			t.Fatal(err)
		}
	}
	end()
	second := turns()
	if len(second) != hostsAtOnce || slices.Contains(second, first[0]) || !slices.Contains(second, first[1]) {
		t.Errorf("after one ended: %v, before %v", second, first)
	}
	end() // again
	if got := turns(); !slices.Equal(got, second) {
		t.Errorf("one turn that ended twice: %v, then %v", second, got)
	}
}
