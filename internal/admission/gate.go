package admission

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// Kind is what a request wants, as far as limits care.
type Kind uint8

// The kinds.
const (
	Read Kind = iota
	Write
	Delete
	kinds
)

// Config says what one caller may take. A rate of 0 is no limit.
type Config struct {
	Clock  clock.Clock
	Reads  Rate
	Writes Rate // deletes have a bucket of the same size of their own
	Bytes  Rate // of bodies, both ways; charged afterwards
	// Strangers is what an address may ask for without a token, of every kind.
	Strangers Rate

	Open    int // requests of one caller that are not answered yet
	Places  int // requests worked on at once, of all callers
	Alone   int // places of one caller while nobody else asks
	Share   int // places of one caller while others ask
	Refused func(why string)
	GiveWay func() // lets other threads have the processor first; nil: does not
}

const (
	// patience is how long a request beyond its rate waits for its turn.
	patience = time.Second
	// recent is how long a caller counts as asking after its last request.
	recent = time.Second
	// most callers are remembered; those beyond are taken for one.
	most = 20000
	// idle is how long a caller is remembered after its last request.
	idle = time.Minute
)

// Gate is the decision. Safe for concurrent use.
type Gate struct {
	cfg Config

	mu      sync.Mutex
	callers map[string]*caller
	work    pool
	// last and before are the two callers who asked last: for each caller it
	// follows whether somebody else asks, too.
	last, before seen
	active       int // callers with unanswered requests

	swept time.Time
}

type seen struct {
	who *caller
	at  time.Time
}

type caller struct {
	key     string
	open    int
	buckets [kinds]bucket
	bytes   bucket
	lane    lane
	at      time.Time
}

// New makes a gate.
func New(cfg Config) *Gate {
	if cfg.Refused == nil {
		cfg.Refused = func(string) {}
	}
	if cfg.GiveWay == nil {
		cfg.GiveWay = func() {}
	}
	g := &Gate{cfg: cfg, callers: map[string]*caller{}}
	g.work.gate = g
	return g
}

// Visitor is who asks: the id of a project or user, or the address of somebody unknown.
type Visitor struct {
	ID      string // empty: unknown
	Address string // "host:port" or "host"
	Kind    Kind
}

// Admit lets a request in, after a while if it comes too fast. RateLimited: it
// is refused. The caller must Leave what it gives.
func (g *Gate) Admit(ctx context.Context, v Visitor) (*Turn, error) {
	now := g.cfg.Clock.Now()
	g.mu.Lock()
	c := g.caller(v, now)
	c.at = now
	if g.last.who != c {
		g.before = g.last
	}
	g.last = seen{c, now}
	if c.open >= g.cfg.Open {
		g.mu.Unlock()
		return nil, g.refuse("open")
	}
	if c.open++; c.open == 1 {
		g.active++
	}
	rate := g.rate(v)
	delay := c.buckets[v.Kind].take(rate, 1, now)
	if v.Kind != Delete {
		delay = max(delay, c.bytes.take(g.cfg.Bytes, 0, now))
	}
	late := delay > patience
	if late {
		c.buckets[v.Kind].take(rate, -1, now)
	}
	g.mu.Unlock()
	t := &Turn{gate: g, who: c, kind: v.Kind}
	if delay == 0 {
		return t, nil
	}
	select {
	case <-g.cfg.Clock.After(min(delay, patience)):
	case <-ctx.Done():
		t.Leave(0)
		return nil, fault.Unavailablef("The client has left.").Because(ctx.Err())
	}
	if late {
		t.Leave(0)
		return nil, g.refuse("rate")
	}
	return t, nil
}

func (g *Gate) rate(v Visitor) Rate {
	switch {
	case v.ID == "":
		return g.cfg.Strangers
	case v.Kind == Read:
		return g.cfg.Reads
	}
	return g.cfg.Writes
}

func (g *Gate) refuse(why string) error {
	g.cfg.Refused(why)
	return fault.New(fault.RateLimited, "Too many requests. Try again later.").With("OverLimit")
}

// caller finds who asks. Under mu.
func (g *Gate) caller(v Visitor, now time.Time) *caller {
	key := "p" + v.ID
	if v.ID == "" {
		key = "a" + host(v.Address)
	}
	if c := g.callers[key]; c != nil {
		return c
	}
	g.sweep(now)
	if len(g.callers) >= most {
		key = "" // as one
		if c := g.callers[key]; c != nil {
			return c
		}
	}
	c := &caller{key: key}
	c.lane.who = c
	g.callers[key] = c
	return c
}

// sweep forgets callers of whom nothing is left to know: more often when there
// are many. Under mu.
func (g *Gate) sweep(now time.Time) {
	pause := idle
	if len(g.callers) >= most {
		pause = time.Second
	}
	if now.Sub(g.swept) < pause {
		return
	}
	g.swept = now
	for key, c := range g.callers {
		if c.open == 0 && now.Sub(c.at) > idle {
			delete(g.callers, key)
		}
	}
}

// others tells whether somebody else than c asks, too. Under mu.
func (g *Gate) others(c *caller, now time.Time) bool {
	is := func(s seen) bool { return s.who != nil && s.who != c && now.Sub(s.at) < recent }
	return is(g.last) || is(g.before)
}

// Waiting counts the requests that wait for a place, for metrics.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.work.waiting
}

// Callers counts the callers that are remembered.
func (g *Gate) Callers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.callers)
}
