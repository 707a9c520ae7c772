package peers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// The times of beating. Between Fresh and Lease lies what a message may take
// that was sent while the sender still held its lease.
const (
	Every = time.Second     // between beats
	Fresh = 4 * time.Second // after its last beat a server stops acting
	Lease = 9 * time.Second // after which the others take over
)

// Self is what a server says of itself.
type Self struct {
	Name     string // unique among the servers of the cloud, the same after a restart
	Instance string // of this process; empty: made up
	URL      string // where other servers reach its front door
}

// Config is what Peers needs.
type Config struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	Self  Self
	Hosts func() []string // that this server hears; may be nil
}

// Peers is the view of one server. Safe for concurrent use.
type Peers struct {
	db    *db.DB
	clock clock.Clock
	log   *slog.Logger
	self  Self
	hosts func() []string

	mu      sync.Mutex
	began   time.Duration // reading of the clock at the start
	last    time.Duration // at which the newest beat that was written began
	beaten  bool
	term    int64
	known   map[string]*peer
	changed []func() // called when a server died, came or hears other hosts
}

// peer is another server as this one sees it.
type peer struct {
	row
	moved time.Duration // reading of the clock when its beat was last seen to move
	alive bool
}

// New makes the view; Run keeps it.
func New(c Config) *Peers {
	if c.Self.Instance == "" {
		c.Self.Instance = id.New()
	}
	if c.Hosts == nil {
		c.Hosts = func() []string { return nil }
	}
	return &Peers{db: c.DB, clock: c.Clock, log: c.Log, self: c.Self, hosts: c.Hosts, began: clock.Elapsed(c.Clock), known: map[string]*peer{}}
}

// Alone tells that no other server can share the database.
func (p *Peers) Alone() bool { return p.db.Engine() == db.SQLite }

// OnChange has f called when a server died or came, or hears other hosts than
// before. For wiring; f must not block.
func (p *Peers) OnChange(f func()) { p.changed = append(p.changed, f) }

// Run beats until ctx ends, and then says goodbye. It fails when another
// process beats under the same name: two servers must not share one.
func (p *Peers) Run(ctx context.Context) error {
	if p.Alone() {
		<-ctx.Done()
		return nil
	}
	for {
		if err := p.Beat(ctx); err != nil && ctx.Err() == nil {
			if fault.Is(err, fault.Conflict) {
				return err
			}
			p.log.Warn("no beat; again in a second", "error", err)
		}
		select {
		case <-ctx.Done():
			bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := p.leave(bye); err != nil {
				p.log.Warn("the other servers were not told that this one stops; they find out", "error", err)
			}
			return nil
		case <-p.clock.After(Every):
		}
	}
}

// Beat says once that this server lives, and looks at the others.
func (p *Peers) Beat(ctx context.Context) error {
	if p.Alone() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, Fresh)
	defer cancel()
	p.mu.Lock()
	first := !p.beaten
	p.mu.Unlock()
	begun := clock.Elapsed(p.clock)
	all, err := p.beat(ctx, pack(p.hosts()), first)
	if err != nil {
		return err
	}
	if p.learn(begun, all) {
		for _, f := range p.changed {
			f()
		}
	}
	return nil
}

// learn takes over what a beat saw, and tells whether others should know.
func (p *Peers) learn(begun time.Duration, all []row) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.beaten || begun-p.last > Fresh {
		p.term++ // what was begun before may have been taken over
	}
	p.beaten, p.last = true, begun
	seen := map[string]bool{}
	for _, r := range all {
		if r.name == p.self.Name {
			continue
		}
		seen[r.name] = true
		k := p.known[r.name]
		if k == nil {
			k = &peer{moved: begun}
			p.known[r.name] = k
			news = true
		}
		if k.beat != r.beat || k.instance != r.instance {
			k.moved = begun
		}
		alive := begun-k.moved < Lease
		news = news || k.alive != alive || k.hosts != r.hosts
		k.row, k.alive = r, alive
	}
	for name := range p.known {
		if !seen[name] {
			delete(p.known, name)
			news = true
		}
	}
	return news
}

// Term is the present term of this server: what is begun in it may act while Holds says so.
func (p *Peers) Term() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.term
}

// Holds tells whether nothing that was begun in a term can have been taken over yet.
func (p *Peers) Holds(term int64) bool {
	if p.Alone() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beaten && p.term == term && clock.Elapsed(p.clock)-p.last < Fresh
}

// Dead tells whether a server does not live any more, as far as this one can
// tell: it has not beaten for Lease, or it left. Nobody is dead before this
// server has watched for as long.
func (p *Peers) Dead(name string) bool {
	if p.Alone() || name == p.self.Name {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.known[name]; k != nil {
		return !k.alive
	}
	return p.beaten && p.last-p.began >= Lease
}

// With names a live server, other than this, that hears a host; empty: none does.
func (p *Peers) With(host string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, k := range p.known {
		if k.alive && slices.Contains(unpack(k.hosts), host) {
			return name
		}
	}
	return ""
}

// URL is where another server's front door is; empty when it does not live.
func (p *Peers) URL(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.known[name]; k != nil && k.alive {
		return k.url
	}
	return ""
}

// Self is what this server says of itself.
func (p *Peers) Self() Self { return p.self }

// Lead tells whether this server has a role that one server has at a time, and
// takes it when nobody lives who has it. Ask right before acting: the answer is
// good for as long as Holds of a term that was read before.
func (p *Peers) Lead(ctx context.Context, role string) (bool, error) {
	if p.Alone() {
		return true, nil
	}
	term := p.Term()
	owner, err := p.seize(ctx, role, p.Dead)
	return err == nil && owner == p.self.Name && p.Holds(term), err
}

// Hold notes that this server has a role that something else makes unique, such
// as a lock on files.
func (p *Peers) Hold(ctx context.Context, role string) error {
	if p.Alone() {
		return nil
	}
	return p.hold(ctx, role)
}

// Leader names who has a role; empty: nobody.
func (p *Peers) Leader(ctx context.Context, role string) (string, error) {
	if p.Alone() {
		return p.self.Name, nil
	}
	return roleOwner(ctx, p.db, role)
}
