package hub

import (
	"context"
	"time"

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
	if !h.poke(name, s) && h.elsewhere(name) != "" {
		h.others.Poke(name, s)
	}
}

// Poked takes a poke that another server passed on.
func (h *Hub) Poked(name string, s hostlink.Section) {
	if _, ok := h.sections[s]; ok {
		h.poke(name, s)
	}
}

// poke tells whether the host is connected here.
func (h *Hub) poke(name string, s hostlink.Section) bool {
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
	st.dirty = true
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
	pause := firstPause
	for {
		h.mu.Lock()
		link := known.link
		st.dirty = st.dirty || st.wanted > st.held.Revision
		if !st.dirty || link == nil || h.ctx.Err() != nil {
			st.rendering, st.wanted = false, 0
			if h.busy--; h.busy == 0 {
				close(h.idle)
				h.idle = make(chan struct{})
			}
			h.mu.Unlock()
			return
		}
		st.dirty, st.wanted = false, 0
		held := st.held
		h.mu.Unlock()

		err := h.render(link, s, st, held)
		if err == nil {
			pause = firstPause
			continue
		}
		h.cfg.Log.Warn("section not delivered; trying again", "host", known.name, "section", s, "pause", pause, "error", err)
		select {
		case <-h.ctx.Done():
		case <-link.ctx.Done():
		case <-h.cfg.Clock.After(pause):
		}
		pause = min(2*pause, lastPause)
		h.mu.Lock()
		st.dirty = true
		h.mu.Unlock()
	}
}

// render computes a section once and sends it if the host holds another.
func (h *Hub) render(link *Link, s hostlink.Section, st *state, held hostlink.Held) error {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-h.ctx.Done():
		return nil
	}
	ctx, cancel := h.while(h.ctx, link, acceptTimeout)
	defer cancel()
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
	doc, err := hostlink.NewDocument(s, revision, body)
	if err != nil {
		return err
	}
	if doc.Epoch, err = h.ahead(ctx, link.host.name, epoch, doc, held); err != nil {
		return err
	}
	if doc.Held() == held {
		h.mu.Lock()
		h.accepted(link.host.name, held)
		h.mu.Unlock()
		return nil
	}
	if err := link.end.Accept(ctx, doc); err != nil {
		return err
	}
	h.mu.Lock()
	if st.held.Epoch < doc.Epoch || st.held.Epoch == doc.Epoch && st.held.Revision <= doc.Revision {
		st.held = doc.Held()
		h.accepted(link.host.name, st.held)
	}
	h.mu.Unlock()
	return nil
}

// while is a context that ends after d, with its parent, or when the link is gone.
func (h *Hub) while(parent context.Context, link *Link, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(parent, d)
	release := context.AfterFunc(link.ctx, cancel)
	return ctx, func() { release(); cancel() }
}
