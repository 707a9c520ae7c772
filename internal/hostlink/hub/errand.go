package hub

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Transactions that raise a section's revision name the objects they changed.
// Revisions are counted without gaps, so that a host which holds one of them
// needs just the objects that were named since; a number that is missing means
// that something is not known by name, and the whole is rendered.

// errand is what a rendering does next.
type errand struct {
	kind    kind
	held    hostlink.Held
	listed  hostlink.Listed // of held; empty: not known
	upto    int64           // the last revision of objects
	objects []string
}

type kind int

const (
	nothing kind = iota
	wait         // for names that are on their way
	part
	whole
)

// namesCome is how long names may come after later ones: transactions that
// commit as one tell of themselves in any order.
const namesCome = 30 * time.Millisecond

// next chooses. The caller holds Hub.mu.
func (st *state) next(parts, waited bool) errand {
	maps.DeleteFunc(st.named, func(revision int64, _ []string) bool { return revision <= st.held.Revision })
	e := errand{held: st.held, listed: st.listed, upto: st.held.Revision}
	for objects, ok := st.named[e.upto+1]; ok; objects, ok = st.named[e.upto+1] {
		e.upto++
		e.objects = append(e.objects, objects...)
	}
	switch {
	case st.dirty, len(st.named) > 0 && !parts:
		e.kind = whole
	case len(e.objects) > 0:
		e.kind = part
	case len(st.named) > 0 && !waited:
		e.kind = wait
	case len(st.named) > 0 || st.wanted > st.held.Revision:
		e.kind = whole
	}
	if e.kind == whole { // it reads a revision that is not earlier than any of these
		st.dirty, st.wanted = false, 0
		clear(st.named)
	}
	return e
}

// takesParts tells whether a change of some objects can be rendered and sent by
// itself. The caller holds mu.
func (h *Hub) takesParts(link *Link, s hostlink.Section, st *state) bool {
	return link.deltas && h.sections[s].part != nil && len(st.named) > 0 && st.held.Epoch == h.epoch.Load() &&
		st.listed.Member != "" && st.listed.Digest() == st.held.Digest
}

func (h *Hub) run(link *Link, s hostlink.Section, st *state, e errand) error {
	if e.kind == wait {
		select {
		case <-st.more:
		case <-clock.Real{}.After(namesCome):
		case <-link.ctx.Done():
		case <-h.ctx.Done():
		}
		return nil
	}
	slots := h.slots
	if e.kind == part {
		slots = h.parts
	}
	select {
	case slots <- struct{}{}:
	case <-h.ctx.Done():
		return nil
	}
	leave := sync.OnceFunc(func() { <-slots })
	defer leave()
	ctx, cancel := h.while(h.ctx, link, acceptTimeout)
	defer cancel()
	if e.kind == part {
		return h.amend(ctx, link, s, st, e, leave)
	}
	return h.render(ctx, link, s, st, e)
}

// amend renders some objects of a section and sends what differs. Once they are
// rendered it calls rendered: what a host takes to put them on disk is no other's time.
func (h *Hub) amend(ctx context.Context, link *Link, s hostlink.Section, st *state, e errand, rendered func()) error {
	body, err := h.sections[s].part(ctx, link.host.name, e.objects)
	rendered()
	if err != nil {
		return err
	}
	text, err := hostlink.Canonical(body)
	if err != nil {
		return err
	}
	now, texts, ok := hostlink.Take(text)
	if !ok || now.Member != e.listed.Member {
		return hostlink.Mismatch("the objects cannot be told apart")
	}
	d := hostlink.Delta{Section: s, Revision: e.upto, Epoch: e.held.Epoch, Base: e.held.Digest, Member: now.Member}
	set, changed := differing(now, texts, e.listed)
	d.Set = changed
	for _, id := range e.objects {
		_, was := e.listed.Find(id)
		if _, is := now.Find(id); was && !is {
			d.Remove = append(d.Remove, id)
		}
	}
	after := e.listed.With(set, d.Remove)
	d.Digest = after.Digest()
	h.mu.Lock()
	for _, id := range e.objects {
		st.sent[id] = e.upto
	}
	h.mu.Unlock()
	if err := link.end.Amend(ctx, d); err != nil {
		return err
	}
	h.delivered(link, st, d.Held(), after)
	return nil
}

// news is a whole document that was rendered just now.
type news struct {
	doc    hostlink.Document
	listed hostlink.Listed // empty: it is no list, or its host takes none
	texts  []json.RawMessage
}

func made(link *Link, s hostlink.Section, revision int64, body any) (n news, err error) {
	if !link.deltas {
		n.doc, err = hostlink.NewDocument(s, revision, body)
		return n, err
	}
	n.doc, n.listed, n.texts, err = hostlink.NewListed(s, revision, body)
	return n, err
}

// since is the delta from what the host holds, where that is known.
func (n news) since(e errand) (d hostlink.Delta, ok bool) {
	if n.listed.Member == "" || n.listed.Member != e.listed.Member || n.doc.Epoch != e.held.Epoch || n.doc.Revision < e.held.Revision || e.listed.Digest() != e.held.Digest {
		return d, false
	}
	d = hostlink.Delta{Section: n.doc.Section, Revision: n.doc.Revision, Epoch: n.doc.Epoch, Base: e.held.Digest, Digest: n.doc.Digest, Member: n.listed.Member}
	_, d.Set = differing(n.listed, n.texts, e.listed)
	for _, o := range e.listed.Objects {
		if _, is := n.listed.Find(o.ID); !is {
			d.Remove = append(d.Remove, o.ID)
		}
	}
	return d, true
}

// differing lists the objects that are not in another list as they are in this one.
func differing(now hostlink.Listed, texts []json.RawMessage, before hostlink.Listed) (set []hostlink.Listing, out []json.RawMessage) {
	for i, o := range now.Objects {
		if at, was := before.Find(o.ID); !was || before.Objects[at].Sum != o.Sum {
			set, out = append(set, o), append(out, texts[i])
		}
	}
	return set, out
}
