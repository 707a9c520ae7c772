package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

type streamOf = io.ReadWriteCloser

// Config is what an agent is made of.
type Config struct {
	Facts    hostlink.Facts // Host and ID must be set
	Appliers map[hostlink.Section]hostlink.Applier
	Journal  *Journal        // OpenJournal or MemoryJournal; the caller closes it after Run
	Relay    *hostlink.Relay // the Upstream that drivers were built with; nil: none uses one
	Clock    clock.Clock     // nil: the machine's
	Log      *slog.Logger    // nil: slog.Default
}

// Agent is the core of the process on a host. Safe for concurrent use.
type Agent struct {
	cfg      Config
	sections map[hostlink.Section]*section
	order    []hostlink.Section
	commands *commands
	work     sync.WaitGroup

	mu       sync.Mutex
	life     context.Context // nil: not running
	sequence int64
	servers  []*server     // that are connected
	started  chan struct{} // closed by Run
}

// New makes an agent and reads its journal; nothing runs before Run.
func New(cfg Config) *Agent {
	if cfg.Clock == nil {
		cfg.Clock = clock.Real{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Relay == nil {
		cfg.Relay = &hostlink.Relay{}
	}
	was := cfg.Journal.snapshot()
	a := &Agent{
		cfg: cfg, sections: map[hostlink.Section]*section{},
		commands: newCommands(cfg.Journal, cfg.Clock, was.results),
		sequence: max(was.sequence+1, clock.Micros(cfg.Clock.Now())),
		started:  make(chan struct{}),
	}
	for name, applier := range cfg.Appliers {
		a.sections[name] = &section{name: name, applier: applier, clock: cfg.Clock, log: cfg.Log, tell: a.changed, save: cfg.Journal.append,
			doc: was.documents[name], before: was.before[name], kept: keptByID(was.kept[name]), objects: map[string]hostlink.ObjectReport{}, wake: make(chan struct{}, 1)}
		a.order = append(a.order, name)
	}
	slices.Sort(a.order)
	return a
}

// Run applies what the journal holds and everything that is accepted later,
// and sends reports while there is a connection. It is called once and
// returns when ctx ends and all appliers have stopped.
func (a *Agent) Run(ctx context.Context) error {
	a.mu.Lock()
	first := a.sequence
	a.mu.Unlock()
	if err := a.cfg.Journal.append(record{Sequence: first}); err != nil {
		a.cfg.Log.Warn("journal cannot be written; documents will be refused until it can", "error", err)
	}
	a.mu.Lock()
	a.life = ctx
	for _, s := range a.servers {
		a.report(ctx, s)
	}
	a.mu.Unlock()
	close(a.started)
	for _, name := range a.order {
		s := a.sections[name]
		a.spawn(func() { s.run(ctx) })
	}
	<-ctx.Done()
	a.mu.Lock()
	a.life = nil // no command begins after this
	a.mu.Unlock()
	a.work.Wait()
	return nil
}

func (a *Agent) spawn(f func()) {
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		f()
	}()
}

// Facts is what the host says of itself.
func (a *Agent) Facts() hostlink.Facts { return a.cfg.Facts }

// Hello is what the agent says first on a connection.
func (a *Agent) Hello() hostlink.Hello {
	h := hostlink.Hello{Facts: a.cfg.Facts, Deltas: true}
	for _, name := range a.order {
		held, listed := a.sections[name].listed()
		h.Held = append(h.Held, held)
		if listed.Member != "" {
			h.Listed = append(h.Listed, hostlink.PackListed(name, listed))
		}
		r, _ := a.reportOf(name, taken{})
		h.Reports = append(h.Reports, r)
	}
	return h
}

// Held lists what is accepted, per section.
func (a *Agent) Held() []hostlink.Held {
	var list []hostlink.Held
	for _, name := range a.order {
		list = append(list, a.sections[name].held())
	}
	return list
}

// Bind gives the agent the way to a server and has it report everything there.
func (a *Agent) Bind(up hostlink.Uplink) {
	a.cfg.Relay.Bind(up)
	s := newServer(up, a.order)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.servers = append(a.servers, s)
	if a.life != nil && a.life.Err() == nil { // else Run begins to report
		a.report(a.life, s)
	}
}

// Unbind takes a way to a server away; twice is fine.
func (a *Agent) Unbind(up hostlink.Uplink) {
	a.cfg.Relay.Unbind(up)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.servers = slices.DeleteFunc(a.servers, func(s *server) bool {
		if s.up == up {
			s.leave()
		}
		return s.up == up
	})
}

// Accept takes a document; see hostlink.Endpoint.
func (a *Agent) Accept(_ context.Context, doc hostlink.Document) error {
	s, ok := a.sections[doc.Section]
	if !ok {
		return fault.NotFoundf("this host has no section %q", doc.Section)
	}
	if !doc.Intact() {
		return fault.Invalidf("the digest of %s is not that of its body", doc.Section)
	}
	if err := s.accept(doc, func() error { return a.cfg.Journal.append(record{Document: &doc}) }); err != nil {
		return err
	}
	a.changed(doc.Section)
	return nil
}

// Amend takes a delta; see hostlink.Endpoint.
func (a *Agent) Amend(_ context.Context, delta hostlink.Delta) error {
	s, ok := a.sections[delta.Section]
	if !ok {
		return fault.NotFoundf("this host has no section %q", delta.Section)
	}
	if err := s.amend(delta, func(doc hostlink.Document) error { return a.cfg.Journal.append(record{Document: &doc}) }); err != nil {
		return err
	}
	a.changed(delta.Section)
	return nil
}

// Command runs a one-shot; see hostlink.Endpoint.
func (a *Agent) Command(ctx context.Context, cmd hostlink.Command) (json.RawMessage, error) {
	s, ok := a.sections[cmd.Section]
	if !ok {
		return nil, fault.NotFoundf("this host has no section %q", cmd.Section)
	}
	if cmd.Token == "" {
		return nil, fault.Invalidf("a command needs a token")
	}
	select {
	case <-a.started:
	case <-ctx.Done():
		return nil, fault.Unavailablef("the agent is not running").Because(ctx.Err())
	}
	a.mu.Lock()
	life := a.life
	if life == nil || life.Err() != nil {
		a.mu.Unlock()
		return nil, fault.Unavailablef("the agent is not running")
	}
	a.work.Add(1) // under mu: Run does not wait before life is taken away
	a.mu.Unlock()
	defer a.work.Done()
	if cmd.Verb == hostlink.TakeInventory {
		return s.inventory(ctx)
	}
	run := func(ctx context.Context) (json.RawMessage, error) {
		if cmd.Verb == hostlink.VerbRelease {
			return nil, s.release(cmd.Object)
		}
		return s.applier.Command(ctx, cmd)
	}
	return a.commands.do(ctx, life, cmd, run, a.spawn)
}

// Forget drops the result of a token; see hostlink.Endpoint.
func (a *Agent) Forget(_ context.Context, token string) error { return a.commands.forget(token) }

// Stream opens a byte stream. Kind may name its section, "guests/console";
// without that the first section that knows the kind serves it.
func (a *Agent) Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	if name, rest, ok := strings.Cut(kind, "/"); ok {
		if s := a.sections[hostlink.Section(name)]; s != nil {
			got, _, err := s.stream(ctx, rest, params)
			return got, err
		}
	}
	refusal := error(fault.NotFoundf("this host has no streams of kind %q", kind))
	for _, name := range a.order {
		got, mine, err := a.sections[name].stream(ctx, kind, params)
		if mine {
			return got, err
		}
		if fault.Is(err, fault.NotFound) {
			refusal = err
		}
	}
	return nil, refusal
}
