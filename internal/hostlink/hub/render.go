package hub

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// The times of a rendering: how long a host may take to put a document on
// disk, and the pauses between attempts that failed.
const (
	acceptTimeout = 15 * time.Second
	firstPause    = 250 * time.Millisecond
	lastPause     = 15 * time.Second
)

// Poke says that a section of a host may have changed.
func (h *Hub) Poke(name string, s hostlink.Section) {
	if _, ok := h.sections[s]; !ok {
		return
	}
	if !h.poke(name, s, func(st *state) { st.dirty = true }) && h.elsewhere(name) != "" {
		h.others.Poke(name, s)
	}
}

// mostNamed is how many changes wait by name; more are rendered with everything.
const mostNamed = 1000

// Raised is Poke of what names its objects. A server that another passes a poke
// on to renders the whole.
func (h *Hub) Raised(name string, s hostlink.Section, revision int64, objects ...string) {
	if _, ok := h.sections[s]; !ok {
		return
	}
	here := h.poke(name, s, func(st *state) {
		if revision == 0 || len(objects) == 0 || len(st.named) >= mostNamed {
			st.dirty = true
			return
		}
		st.named[revision] = objects
		select {
		case st.more <- struct{}{}:
		default: // nobody waits, or is told already
		}
	})
	if !here && h.elsewhere(name) != "" {
		h.others.Poke(name, s)
	}
}

// Poked takes a poke that another server passed on.
func (h *Hub) Poked(name string, s hostlink.Section) {
	if _, ok := h.sections[s]; ok {
		h.poke(name, s, func(st *state) { st.dirty = true })
	}
}

// poke notes what changed, and tells whether the host is connected here.
func (h *Hub) poke(name string, s hostlink.Section, note func(*state)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return true
	}
	known := h.hosts[name]
	if known == nil || known.link == nil {
		return false // rendered when it connects
	}
	st := known.state(s)
	note(st)
	if st.rendering {
		return true
	}
	st.rendering = true
	h.busy++
	h.work.Add(1)
	go h.renderLoop(known, s, st)
	return true
}

// want has a section rendered unless the host has accepted the revision already,
// or a rendering on its way turns out to be of it. Whoever raised the revision
// poked: to wait for it is no reason to render once more.
func (h *Hub) want(name string, s hostlink.Section, revision int64) {
	if revision == 0 {
		return // nothing was raised: what was reported last will do
	}
	h.mu.Lock()
	var st *state
	if known := h.hosts[name]; known != nil && known.link != nil {
		st = known.state(s)
	}
	switch {
	case st == nil:
	case st.held.Epoch == h.epoch.Load() && st.held.Revision >= revision:
		h.mu.Unlock()
		return
	case st.rendering:
		st.wanted = max(st.wanted, revision)
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	h.Poke(name, s)
}

func (h *Hub) pokeAll() {
	h.mu.Lock()
	names := make([]string, 0, len(h.hosts))
	for name, known := range h.hosts {
		if known.link != nil {
			names = append(names, name)
		}
	}
	h.mu.Unlock()
	for _, name := range names {
		for s := range h.sections {
			h.Poke(name, s)
		}
	}
}

// renderLoop brings one section of one host up to date and ends when it is, or
// when the host is gone. A failure is tried again with growing pauses.
func (h *Hub) renderLoop(known *host, s hostlink.Section, st *state) {
	defer h.work.Done()
	pause, waited := firstPause, false
	for {
		h.mu.Lock()
		link := known.link
		e := st.next(link != nil && h.takesParts(link, s, st), waited)
		if e.kind == nothing || link == nil || h.ctx.Err() != nil {
			st.rendering, st.wanted = false, 0
			if h.busy--; h.busy == 0 {
				close(h.idle)
				h.idle = make(chan struct{})
			}
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()

		waited = e.kind == wait
		err := h.run(link, s, st, e)
		if err == nil {
			pause = firstPause
			if e.kind == part {
				h.gather(link, st)
			}
			continue
		}
		misfit := fault.As(err).Code == hostlink.WholeWanted && e.listed.Member != ""
		h.mu.Lock()
		if st.dirty = true; misfit {
			st.listed = hostlink.Listed{} // what the host holds is not that
		}
		h.mu.Unlock()
		if misfit {
			continue
		}
		h.cfg.Log.Warn("section not delivered; trying again", "host", known.name, "section", s, "pause", pause, "error", err)
		select {
		case <-h.ctx.Done():
		case <-link.ctx.Done():
		case <-h.cfg.Clock.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// partsApart is the pause after a part where the next is there already: a host that
// is told of many objects one by one puts its whole document on disk for each.
const partsApart = 10 * time.Millisecond

// gather waits for what comes soon after a part, if anything came while it was sent.
func (h *Hub) gather(link *Link, st *state) {
	h.mu.Lock()
	more := false
	for revision := range st.named {
		more = more || revision > st.held.Revision
	}
	h.mu.Unlock()
	if !more {
		return
	}
	select {
	case <-clock.Real{}.After(partsApart):
	case <-link.ctx.Done():
	case <-h.ctx.Done():
	}
}

// render computes a section once and sends it if the host holds another.
func (h *Hub) render(ctx context.Context, link *Link, s hostlink.Section, st *state, e errand) error {
	epoch, err := h.now(ctx)
	if err != nil {
		return err
	}
	body, revision, err := h.sections[s].render(ctx, link.host.name)
	if fault.Is(err, fault.NotFound) {
		return nil // no rows about this host yet; whoever makes them pokes
	}
	if err != nil {
		return err
	}
	n, err := made(link, s, revision, body)
	if err != nil {
		return err
	}
	if n.doc.Epoch, err = h.ahead(ctx, link.host.name, epoch, n.doc, e.held); err != nil {
		return err
	}
	if n.doc.Held() == e.held {
		h.mu.Lock()
		h.accepted(link.host.name, e.held)
		if st.held == e.held {
			st.listed = n.listed
		}
		h.mu.Unlock()
		return nil
	}
	h.mu.Lock()
	st.sentAll = max(st.sentAll, n.doc.Revision)
	h.mu.Unlock()
	if delta, ok := n.since(e); ok {
		err = link.end.Amend(ctx, delta)
	} else {
		err = link.end.Accept(ctx, n.doc)
	}
	if err != nil {
		return err
	}
	h.delivered(link, st, n.doc.Held(), n.listed)
	return nil
}

// delivered notes what a host has on disk now.
func (h *Hub) delivered(link *Link, st *state, now hostlink.Held, listed hostlink.Listed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st.held.Epoch < now.Epoch || st.held.Epoch == now.Epoch && st.held.Revision <= now.Revision {
		st.held, st.listed = now, listed
		h.accepted(link.host.name, now)
	}
}

// while is a context that ends after d, with its parent, or when the link is gone.
func (h *Hub) while(parent context.Context, link *Link, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(parent, d)
	release := context.AfterFunc(link.ctx, cancel)
	return ctx, func() { release(); cancel() }
}
