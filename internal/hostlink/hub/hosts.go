package hub

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// host is what the hub knows of one host. Fields are guarded by Hub.mu.
type host struct {
	name     string
	link     *Link // nil: not connected
	alive    bool  // what OnLease was last told
	facts    hostlink.Facts
	sections map[hostlink.Section]*state
}

// state is one section of a host.
type state struct {
	held      hostlink.Held
	listed    hostlink.Listed // what held lists, if its digest is that
	report    hostlink.Report // but for its objects
	objects   map[string]hostlink.ObjectReport
	check     uint64             // of objects
	whole     bool               // a whole report came by this link
	sent      map[string]int64   // objects that documents changed which are not reported as applied, by revision
	sentAll   int64              // a whole document of this revision is not either
	changed   chan struct{}      // closed at each report, then made anew
	dirty     bool               // poked since the rendering began
	named     map[int64][]string // objects that changed, by revisions later than held's
	more      chan struct{}      // holds one element when something was named
	wanted    int64              // the latest revision that was awaited since then
	rendering bool
	observing sync.Mutex // reports reach the observer one at a time
}

// Link is one connection of a host, as its placement holds it.
type Link struct {
	hub       *Hub
	host      *host
	end       hostlink.Endpoint
	ctx       context.Context // ends with the link
	cut       context.CancelFunc
	permanent bool          // lives until Down, without beats
	deltas    bool          // the agent takes them
	beat      time.Duration // reading of the clock; guarded by Hub.mu
}

// Up files a connection under the host's authenticated name, replacing an
// older one, and renders what the host should have. Placements call it with
// the agent's hello; with an error the agent shall say hello again. A
// permanent link needs no beats.
func (h *Hub) Up(ctx context.Context, name string, hello hostlink.Hello, end hostlink.Endpoint, permanent bool) (*Link, error) {
	if hello.Facts.Host != name {
		return nil, fault.Forbiddenf("host %q said it was %q", name, hello.Facts.Host)
	}
	if _, err := h.now(ctx); err != nil {
		return nil, err
	}
	for _, f := range h.onFacts {
		if err := f(ctx, hello.Facts); err != nil {
			return nil, err
		}
	}
	link := &Link{hub: h, end: end, permanent: permanent, deltas: hello.Deltas, beat: clock.Elapsed(h.cfg.Clock)}
	link.ctx, link.cut = context.WithCancel(h.ctx)
	h.mu.Lock()
	known := h.host(name)
	old := known.link
	link.host, known.link, known.facts = known, link, hello.Facts
	for _, st := range known.sections {
		st.forget()
	}
	for _, held := range hello.Held {
		known.state(held.Section).held = held
	}
	for _, l := range hello.Listed {
		known.state(l.Section).listed = l.Listed()
	}
	fresh := !known.alive
	known.alive = true
	h.mu.Unlock()
	if old != nil {
		old.cut()
	}
	if fresh {
		h.tellLease(name, true)
	}
	for _, r := range hello.Reports {
		if err := link.Report(ctx, r); err != nil {
			h.cfg.Log.Warn("report on hello not taken; the host repeats it", "host", name, "section", r.Section, "error", err)
		}
	}
	same := h.told(ctx, name, hello.Held)
	for s := range h.sections {
		if !same[s] {
			h.Poke(name, s)
		}
	}
	return link, nil
}

// forget prepares for a host that says hello: what it holds and does it says
// itself, and what it does not have is found out by comparing revisions.
func (st *state) forget() {
	st.report.Sequence = 0 // a host that was set up anew counts from the start
	st.held, st.listed = hostlink.Held{Section: st.held.Section}, hostlink.Listed{}
	st.whole, st.sentAll = false, 0
	clear(st.named)
	clear(st.sent)
}

// Down ends a link. The lease ends with it.
func (l *Link) Down() {
	h := l.hub
	h.mu.Lock()
	last := l.host.link == l
	if last {
		l.host.link = nil
		l.host.alive = false
	}
	h.mu.Unlock()
	l.cut()
	if last {
		h.tellLease(l.host.name, false)
	}
}

// Gone is closed when the link has ended or was replaced.
func (l *Link) Gone() <-chan struct{} { return l.ctx.Done() }

// Beat prolongs the lease. held is what the host has now; where it differs
// from what was last sent, the section is rendered again. False: the link is
// over, and the agent shall say hello.
func (l *Link) Beat(held []hostlink.Held) bool {
	h := l.hub
	h.mu.Lock()
	if l.host.link != l {
		h.mu.Unlock()
		return false
	}
	l.beat = clock.Elapsed(h.cfg.Clock)
	var differ []hostlink.Section
	for _, now := range held {
		st := l.host.state(now.Section)
		if st.held != now && !st.rendering {
			st.held = now
			differ = append(differ, now.Section)
		}
	}
	h.mu.Unlock()
	for _, s := range differ {
		h.Poke(l.host.name, s)
	}
	return true
}

// Alive tells whether the host's lease holds, here or at another server.
func (h *Hub) Alive(name string) bool {
	return h.hears(name) || h.elsewhere(name) != ""
}

// elsewhere names another server that hears a host; empty: none does.
func (h *Hub) elsewhere(name string) string {
	if h.others == nil {
		return ""
	}
	return h.others.With(name)
}

func (h *Hub) hears(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.hosts[name]
	return known != nil && h.holds(known.link)
}

// Names lists the hosts whose lease holds here.
func (h *Hub) Names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, known := range h.hosts {
		if h.holds(known.link) {
			names = append(names, name)
		}
	}
	return names
}

// holds tells whether a link's lease holds. The caller holds mu.
func (h *Hub) holds(l *Link) bool {
	return l != nil && (l.permanent || clock.Elapsed(h.cfg.Clock)-l.beat < h.cfg.Lease)
}

// expire ends the links whose lease is over.
func (h *Hub) expire() {
	h.mu.Lock()
	var over []*Link
	for _, known := range h.hosts {
		if known.link != nil && !h.holds(known.link) {
			over = append(over, known.link)
		}
	}
	h.mu.Unlock()
	for _, l := range over {
		h.cfg.Log.Warn("lease lost", "host", l.host.name)
		l.Down()
	}
}

func (h *Hub) tellLease(name string, alive bool) {
	for _, f := range h.onLease {
		f(name, alive)
	}
}

// host finds or makes the record of a host. The caller holds mu.
func (h *Hub) host(name string) *host {
	known, ok := h.hosts[name]
	if !ok {
		known = &host{name: name, sections: map[hostlink.Section]*state{}}
		h.hosts[name] = known
	}
	return known
}

// state finds or makes the record of a section. The caller holds Hub.mu.
func (k *host) state(s hostlink.Section) *state {
	st, ok := k.sections[s]
	if !ok {
		st = &state{held: hostlink.Held{Section: s}, changed: make(chan struct{}), objects: map[string]hostlink.ObjectReport{},
			named: map[int64][]string{}, more: make(chan struct{}, 1), sent: map[string]int64{}}
		k.sections[s] = st
	}
	return st
}
