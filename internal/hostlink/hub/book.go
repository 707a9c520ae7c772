package hub

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/hostlink"
)

// Book is what the cloud remembers of what hosts were told, so that a server
// that starts need not render what every host has already. It is a shortcut: an
// entry that is missing or old costs a rendering and nothing else.
type Book interface {
	// Told lists the documents that a host accepted last, of those sections
	// whose revision is the present one still.
	Told(ctx context.Context, host string) ([]hostlink.Held, error)
	// File notes what hosts have accepted.
	File(ctx context.Context, accepted []hostlink.Accepted) error
	// Revisions are the present ones of all hosts.
	Revisions(ctx context.Context) (map[hostlink.HostSection]int64, error)
}

// wholeAtOnce is how many hosts are rendered in the time of a repair, whatever
// their revisions are: in a cloud of up to so many all of them, in a larger one
// in turn.
const wholeAtOnce = 200

// told tells which of the sections that a host holds are as they should be
// without looking. It is asked once the host's link is in place: a change that
// it does not see yet pokes that link.
func (h *Hub) told(ctx context.Context, name string, held []hostlink.Held) map[hostlink.Section]bool {
	if h.cfg.Book == nil {
		return nil
	}
	known, err := h.cfg.Book.Told(ctx, name)
	if err != nil {
		h.cfg.Log.Warn("what a host was told is not known; all is rendered", "host", name, "error", err)
		return nil
	}
	same := map[hostlink.Section]bool{}
	for _, k := range known {
		same[k.Section] = k.Epoch == h.epoch.Load() && slices.Contains(held, k)
	}
	return same
}

// accepted notes what a host has on disk, for the book. The caller holds mu.
func (h *Hub) accepted(name string, held hostlink.Held) {
	if h.cfg.Book != nil {
		h.unfiled[hostlink.HostSection{Host: name, Section: held.Section}] = held
	}
}

// file writes what hosts have accepted since the last time.
func (h *Hub) file(ctx context.Context) {
	h.mu.Lock()
	list := make([]hostlink.Accepted, 0, len(h.unfiled))
	for at, held := range h.unfiled {
		list = append(list, hostlink.Accepted{Host: at.Host, Held: held})
	}
	clear(h.unfiled)
	h.mu.Unlock()
	if len(list) == 0 {
		return
	}
	if err := h.cfg.Book.File(ctx, list); err != nil {
		h.cfg.Log.Warn("what hosts accepted is not on file; they are rendered at the next start", "hosts", len(list), "error", err)
	}
}

// lookAround has the hosts whose turn it is rendered whole, because a poke that
// got lost may have had no revision: a few at each turn of Run, so that it is no
// burst, and so many that each repair's time sees wholeAtOnce of them, or all.
func (h *Hub) lookAround() {
	if h.cfg.Book == nil {
		return
	}
	h.mu.Lock()
	if len(h.order) != len(h.hosts) {
		h.order = slices.Sorted(maps.Keys(h.hosts))
	}
	h.owed += float64(min(wholeAtOnce, len(h.order))) * float64(h.cfg.Lease/6) / float64(h.cfg.Repair)
	var now []string
	for ; h.owed >= 1; h.owed-- {
		if name := h.order[h.turn%len(h.order)]; h.hosts[name] != nil && h.hosts[name].link != nil {
			now = append(now, name)
		}
		h.turn++
	}
	h.mu.Unlock()
	for _, name := range now {
		for s := range h.sections {
			h.Poke(name, s)
		}
	}
}

// repair has sections rendered again that are not at the revision of their rows.
func (h *Hub) repair(ctx context.Context) {
	if h.cfg.Book == nil {
		h.pokeAll()
		return
	}
	present, err := h.cfg.Book.Revisions(ctx)
	if err != nil {
		h.cfg.Log.Warn("hosts are compared later", "error", err)
		return
	}
	var behind []hostlink.HostSection
	h.mu.Lock()
	for name, known := range h.hosts {
		if known.link == nil {
			continue
		}
		for s := range h.sections {
			at := hostlink.HostSection{Host: name, Section: s}
			held := known.state(s).held
			if held.Revision != present[at] || held.Epoch != h.epoch.Load() {
				behind = append(behind, at)
			}
		}
	}
	h.mu.Unlock()
	for _, at := range behind {
		h.Poke(at.Host, at.Section)
	}
}
