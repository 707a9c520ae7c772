package linktest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/agent"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
)

// World is a placement under test: one server and any number of agents.
type World interface {
	// Connect keeps an agent connected until the test ends.
	Connect(t *testing.T, a *agent.Agent)
	// Cut breaks a host's connection and keeps it broken until Heal.
	Cut(t *testing.T, host string)
	Heal(t *testing.T, host string)
	// Restart replaces the server by a new one with this hub.
	Restart(t *testing.T, h *hub.Hub)
}

// Run holds a placement against the suite. make starts a server with a hub.
func Run(t *testing.T, make func(t *testing.T, h *hub.Hub) World) {
	for name, f := range map[string]func(*testing.T, *bench){
		"newest document wins":          newestWins,
		"equal digests send nothing":    equalIsSilent,
		"failed and absent are told":    phases,
		"reports by themselves":         unasked,
		"commands run once per token":   tokens,
		"cut and heal":                  cutAndHeal,
		"server restart":                serverRestart,
		"agent restart":                 agentRestart,
		"streams to the agent":          streamsDown,
		"streams to the server":         streamsUp,
		"messages":                      messages,
		"a slow document is superseded": superseded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.world = make(t, b.hub)
			f(t, b)
		})
	}
}

// bench is the rows of a server, and the world they are rendered into.
type bench struct {
	t     *testing.T
	world World
	hub   *hub.Hub
	ctx   context.Context

	mu       sync.Mutex
	rows     map[string]map[string]string
	revision map[string]int64
	seen     []hostlink.Report
	told     []hostlink.Message
	facts    []hostlink.Facts
}

func newBench(t *testing.T) *bench {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	b := &bench{t: t, ctx: ctx, rows: map[string]map[string]string{}, revision: map[string]int64{}}
	b.hub = b.newHub()
	return b
}

func (b *bench) newHub() *hub.Hub {
	h := hub.New(hub.Config{Log: slog.New(slog.DiscardHandler), Lease: 2 * time.Second})
	h.Register(Section, b.render, func(_ context.Context, r hostlink.Report) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen = append(b.seen, r)
		return nil
	})
	h.RegisterPart(Section, b.part)
	h.OnFacts(func(_ context.Context, f hostlink.Facts) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.facts = append(b.facts, f)
		return nil
	})
	h.OnTell(Section, func(_ context.Context, host string, m hostlink.Message) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		m.Object = host + ":" + m.Object
		b.told = append(b.told, m)
		return nil
	})
	h.HandleStream("echo", func(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) { return newEcho(), nil })
	h.HandleStream("torn", func(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) { return &torn{}, nil })
	h.HandleStream("who", func(_ context.Context, host string, p json.RawMessage) (io.ReadWriteCloser, error) {
		return &words{rest: append([]byte(host+" "), p...)}, nil
	})
	h.HandleStream("never", func(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
		return nil, fault.Forbiddenf("not for you").With("Never")
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }() // always nil
	b.t.Cleanup(func() { cancel(); <-done; h.Close() })
	return h
}

func (b *bench) render(_ context.Context, host string) (any, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows[host] == nil {
		return nil, 0, fault.NotFoundf("no rows of %s", host)
	}
	return BodyOf(b.rows[host]), b.revision[host], nil
}

func (b *bench) part(_ context.Context, host string, names []string) (any, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	some := map[string]string{}
	for _, name := range names {
		if word, ok := b.rows[host][name]; ok {
			some[name] = word
		}
	}
	return BodyOf(some), nil
}

// put changes a host's rows and pokes; an empty word deletes.
func (b *bench) put(host, name, word string) int64 {
	b.mu.Lock()
	if b.rows[host] == nil {
		b.rows[host] = map[string]string{}
	}
	if b.rows[host][name] = word; word == "" {
		delete(b.rows[host], name)
	}
	b.revision[host]++
	n := b.revision[host]
	b.mu.Unlock()
	b.hub.Raised(host, Section, n, name)
	return n
}

// host starts an agent with a shelf; stop ends its process.
func (b *bench) host(name string, j *agent.Journal, shelf *Shelf) (a *agent.Agent, relay *hostlink.Relay, stop func()) {
	relay = &hostlink.Relay{}
	a = agent.New(agent.Config{Facts: hostlink.Facts{Host: name, ID: "id-" + name, CPUs: 4}, Journal: j, Relay: relay,
		Appliers: map[hostlink.Section]hostlink.Applier{Section: shelf}, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = a.Run(ctx) }() // always nil
	stop = func() { cancel(); <-done }
	b.t.Cleanup(stop)
	return a, relay, stop
}

// start is a connected host, alive.
func (b *bench) start(name string) (*Shelf, *hostlink.Relay) {
	shelf := NewShelf()
	a, relay, _ := b.host(name, agent.MemoryJournal(), shelf)
	b.world.Connect(b.t, a)
	b.eventually("host alive", func() bool { return b.hub.Alive(name) })
	b.eventually("host bound", func() bool { _, err := relay.Current(); return err == nil })
	return shelf, relay
}

func (b *bench) await(host string, revision int64, name string) hostlink.ObjectReport {
	b.t.Helper()
	r, err := b.hub.Await(b.ctx, host, Section, revision, name)
	if err != nil {
		b.t.Fatalf("await %s of %s: %v", name, host, err)
	}
	return r
}

func (b *bench) eventually(what string, f func() bool) {
	b.t.Helper()
	for !f() {
		select {
		case <-b.ctx.Done():
			b.t.Fatalf("not within the time: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func word(r hostlink.ObjectReport) string {
	var w string
	_ = json.Unmarshal(r.Facts, &w) // an absent fact is no word
	return w
}

func newestWins(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	other, _ := b.start("h2")
	var last int64
	for i := range 30 {
		last = b.put("h1", "a", string(rune('a'+i%26)))
	}
	if odd := "<&>\u2028é\\\""; word(b.await("h1", b.put("h1", "b", odd), "b")) != odd {
		t.Error("a word does not arrive as it is")
	}
	if got := word(b.await("h1", last, "a")); got != "d" {
		t.Errorf("a is %q after thirty changes, want d", got)
	}
	if got := b.await("h1", last, "a"); got.Revision < last {
		t.Errorf("answered for revision %d, asked for %d", got.Revision, last)
	}
	if n := len(other.Words()); n != 0 {
		t.Errorf("a host got %d objects of another", n)
	}
	if shelf.Applies() > 31 {
		t.Errorf("%d applies for 31 changes", shelf.Applies())
	}
}

func equalIsSilent(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	n := b.put("h1", "a", "x")
	b.await("h1", n, "a")
	before := shelf.Applies()
	for range 5 {
		b.hub.Poke("h1", Section)
	}
	if err := b.hub.Settle(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.world.Cut(t, "h1")
	b.eventually("lease lost", func() bool { return !b.hub.Alive("h1") })
	b.world.Heal(t, "h1")
	b.eventually("host back", func() bool { return b.hub.Alive("h1") })
	if err := b.hub.Settle(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.await("h1", n, "a")
	if after := shelf.Applies(); after != before {
		t.Errorf("%d applies more though nothing changed", after-before)
	}
}

func phases(t *testing.T, b *bench) {
	b.start("h1")
	b.put("h1", "bad", "broken")
	n := b.put("h1", "a", "x")
	if r := b.await("h1", n, "bad"); r.Phase != hostlink.Failed || r.Error != "it is broken" {
		t.Errorf("a broken word is told as %+v", r)
	}
	n = b.put("h1", "a", "")
	if r := b.await("h1", n, "a"); r.Phase != hostlink.Absent {
		t.Errorf("a removed word is told as %+v", r)
	}
	if r := b.await("h1", n, "never was"); r.Phase != hostlink.Absent {
		t.Errorf("an unknown word is told as %+v", r)
	}
	if len(b.facts) == 0 || b.facts[0].CPUs != 4 {
		t.Errorf("facts %+v", b.facts)
	}
}

func unasked(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	n := b.put("h1", "a", "x")
	b.await("h1", n, "a")
	shelf.Lose("a")
	b.eventually("loss told", func() bool { return word(b.await("h1", n, "a")) == "lost" })
}

func tokens(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	cmd := hostlink.Command{Token: "t1", Section: Section, Object: "a", Verb: "count"}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if raw, err := b.hub.Do(b.ctx, "h1", cmd); err != nil || string(raw) != `{"runs":1}` {
				t.Errorf("repeated token: %s, %v", raw, err)
			}
		})
	}
	all.Wait()
	if _, err := b.hub.Do(b.ctx, "h1", hostlink.Command{Token: "t2", Section: Section, Object: "a", Verb: "refuse"}); !fault.Is(err, fault.Conflict) || fault.As(err).Code != "Refused" {
		t.Errorf("a refusal arrives as %v", err)
	}
	busy := hostlink.Command{Token: "t3", Section: Section, Object: "a", Verb: "busy"}
	if _, err := b.hub.Do(b.ctx, "h1", busy); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a busy host: %v", err)
	}
	if _, err := b.hub.Do(b.ctx, "h1", busy); err != nil {
		t.Errorf("the same token again after busy: %v", err)
	}
	for range 2 {
		if err := b.hub.Forget(b.ctx, "h1", "t1"); err != nil {
			t.Errorf("forget: %v", err)
		}
	}
	if _, err := b.hub.Do(b.ctx, "h1", cmd); err != nil || shelf.Runs("t1") != 2 {
		t.Errorf("a forgotten token runs again: %v, %d runs", err, shelf.Runs("t1"))
	}
	if _, err := b.hub.Do(b.ctx, "nobody", cmd); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a host that is not there: %v", err)
	}
}

func cutAndHeal(t *testing.T, b *bench) {
	shelf, relay := b.start("h1")
	b.await("h1", b.put("h1", "a", "x"), "a")
	b.world.Cut(t, "h1")
	b.eventually("lease lost", func() bool { return !b.hub.Alive("h1") })
	b.eventually("agent knows", func() bool { _, err := relay.Current(); return err != nil })
	if _, err := b.hub.Do(b.ctx, "h1", hostlink.Command{Token: "t", Section: Section, Verb: "count"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("command to a lost host: %v", err)
	}
	n := b.put("h1", "b", "y")
	if shelf.Words()["a"] != "x" {
		t.Error("the host lost what it had with the connection")
	}
	b.world.Heal(t, "h1")
	if got := word(b.await("h1", n, "b")); got != "y" {
		t.Errorf("after the heal b is %q", got)
	}
}

func serverRestart(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	n := b.put("h1", "a", "x")
	b.await("h1", n, "a")
	before := shelf.Applies()
	if _, err := b.hub.Do(b.ctx, "h1", hostlink.Command{Token: "t", Section: Section, Verb: "count"}); err != nil {
		t.Fatal(err)
	}
	b.hub = b.newHub()
	b.world.Restart(t, b.hub)
	b.eventually("host back", func() bool { return b.hub.Alive("h1") })
	if got := word(b.await("h1", n, "a")); got != "x" || shelf.Applies() != before {
		t.Errorf("after the restart a is %q, %d applies more", got, shelf.Applies()-before)
	}
	if raw, err := b.hub.Do(b.ctx, "h1", hostlink.Command{Token: "t", Section: Section, Verb: "count"}); err != nil || string(raw) != `{"runs":1}` {
		t.Errorf("token of the old server: %s, %v", raw, err)
	}
}

func agentRestart(t *testing.T, b *bench) {
	dir := t.TempDir()
	j, err := agent.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	shelf := NewShelf()
	a, _, stop := b.host("h1", j, shelf)
	b.world.Connect(t, a)
	b.eventually("host alive", func() bool { return b.hub.Alive("h1") })
	n := b.put("h1", "a", "x")
	b.await("h1", n, "a")
	cmd := hostlink.Command{Token: "t", Section: Section, Verb: "count"}
	if _, err := b.hub.Do(b.ctx, "h1", cmd); err != nil {
		t.Fatal(err)
	}
	b.world.Cut(t, "h1")
	stop()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	again := NewShelf() // the host's memory is gone, its journal is not
	if j, err = agent.OpenJournal(dir); err != nil {
		t.Fatal(err)
	}
	a, _, _ = b.host("h1", j, again)
	b.eventually("applied without the server", func() bool { return again.Words()["a"] == "x" })
	b.world.Connect(t, a)
	b.eventually("host back", func() bool { return b.hub.Alive("h1") })
	b.await("h1", n, "a")
	b.eventually("old result", func() bool { // the lease may still be the old process's
		raw, err := b.hub.Do(b.ctx, "h1", cmd)
		if !fault.Is(err, fault.Unavailable) && (err != nil || string(raw) != `{"runs":1}`) {
			t.Fatalf("result after a restart: %s, %v", raw, err)
		}
		return err == nil
	})
	if again.Runs("t") != 0 {
		t.Error("the token ran again after a restart")
	}
}

func streamsDown(t *testing.T, b *bench) {
	b.start("h1")
	for _, kind := range []string{"echo", string(Section) + "/echo"} {
		s, err := b.hub.Open(b.ctx, "h1", kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, s)
	}
	s, err := b.hub.Open(b.ctx, "h1", "params", map[string]int{"n": 7})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(s); err != nil || string(raw) != `{"n":7}` {
		t.Errorf("params arrive as %s, %v", raw, err)
	}
	if s, err = b.hub.Open(b.ctx, "h1", "torn", nil); err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(s); err == nil {
		t.Errorf("a broken stream ends as if it were whole: %q", raw)
	}
	if _, err := b.hub.Open(b.ctx, "h1", "nothing", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown kind: %v", err)
	}
}

func streamsUp(t *testing.T, b *bench) {
	_, relay := b.start("h1")
	s, err := relay.Open(b.ctx, "echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, s)
	if s, err = relay.Open(b.ctx, "who", map[string]string{"id": "i"}); err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(s); err != nil || string(raw) != `h1 {"id":"i"}` {
		t.Errorf("host and params arrive as %s, %v", raw, err)
	}
	if s, err = relay.Open(b.ctx, "torn", nil); err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(s); err == nil {
		t.Errorf("a broken stream ends as if it were whole: %q", raw)
	}
	if _, err := relay.Open(b.ctx, "never", nil); !fault.Is(err, fault.Forbidden) || fault.As(err).Code != "Never" {
		t.Errorf("refusal: %v", err)
	}
	if _, err := relay.Open(b.ctx, "nothing", nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown kind: %v", err)
	}
}

// roundTrip sends more than any buffer holds and expects it back.
func roundTrip(t *testing.T, s io.ReadWriteCloser) {
	t.Helper()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	failed := make(chan error, 1)
	go func() {
		_, err := s.Write(sent)
		if err == nil {
			err = s.(interface{ CloseWrite() error }).CloseWrite()
		}
		failed <- err
	}()
	got, err := io.ReadAll(s)
	if werr := <-failed; err != nil || werr != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back: %v, %v", len(got), len(sent), err, werr)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func messages(t *testing.T, b *bench) {
	_, relay := b.start("h1")
	if err := relay.Tell(b.ctx, Section, "a", "password", map[string]string{"p": "x"}); err != nil {
		t.Fatal(err)
	}
	b.eventually("message", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.told) > 0 && b.told[0].Object == "h1:a" && string(b.told[0].Params) == `{"p":"x"}`
	})
}

func superseded(t *testing.T, b *bench) {
	shelf, _ := b.start("h1")
	b.put("h1", "s", "slow")
	b.eventually("slow word begun", func() bool { return shelf.Applies() > 0 })
	n := b.put("h1", "s", "x")
	if got := word(b.await("h1", n, "s")); got != "x" {
		t.Errorf("s is %q", got)
	}
	short, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
	defer cancel()
	n = b.put("h1", "s2", "slow")
	if _, err := b.hub.Await(short, "h1", Section, n, "s2"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a pending word is answered: %v", err)
	}
	shelf.Release()
	b.await("h1", n, "s2")
}
