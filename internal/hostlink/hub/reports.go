package hub

import (
	"context"
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// answer looks an object up. The caller holds Hub.mu.
func (st *state) answer(revision int64, object string) (hostlink.ObjectReport, bool) {
	found, listed := st.objects[object]
	if !listed {
		return hostlink.ObjectReport{ID: object, Phase: hostlink.Absent, Revision: st.report.Applied}, st.report.Applied >= revision
	}
	found.Revision = max(found.Revision, st.report.Applied) // an Apply that did all confirms what it did not speak of
	return found, found.Phase != hostlink.Pending && found.Revision >= revision
}

// Report takes a host's report: it goes to the section's observer, then to
// those who wait. An error means that the agent shall send it again.
func (l *Link) Report(ctx context.Context, r hostlink.Report) error {
	h := l.hub
	registered, ok := h.sections[r.Section]
	if !ok {
		return nil // a newer agent may know sections that this server does not
	}
	r.Host = l.host.name
	r = h.ofThisEpoch(r)
	h.mu.Lock()
	st := l.host.state(r.Section)
	h.mu.Unlock()
	st.observing.Lock()
	defer st.observing.Unlock()
	seen, err := l.seen(st, r)
	if err != nil || seen == nil {
		return err
	}
	if registered.observe != nil {
		if err := registered.observe(ctx, *seen); err != nil {
			return err
		}
	}
	for _, f := range h.onReport {
		if err := f(ctx, *seen); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.host.link != l {
		return fault.Unavailablef("the connection was replaced")
	}
	st.take(r)
	close(st.changed)
	st.changed = make(chan struct{})
	return nil
}

// seen is a report as observers are to see it, before they write what is not so
// any more, and nobody says it again. Nil: it was overtaken.
func (l *Link) seen(st *state, r hostlink.Report) (*hostlink.Report, error) {
	h := l.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case l.host.link != l:
		return nil, fault.Unavailablef("the connection was replaced")
	case r.Sequence < st.report.Sequence:
		return nil, nil
	case r.Since == 0:
		return &r, nil
	case !st.whole || r.Since > st.report.Sequence || r.Epoch != st.report.Epoch || r.Epoch != h.epoch.Load() || st.checked(r) != r.Check:
		return nil, hostlink.Mismatch("the report goes on from another")
	}
	r.Objects = append(slices.Clip(r.Objects), st.unsaid(r)...)
	return &r, nil
}

// checked is what Check must be of a report that goes on from what is known. The
// caller holds Hub.mu.
func (st *state) checked(r hostlink.Report) uint64 {
	sum := st.check
	for _, o := range r.Objects {
		if was, known := st.objects[o.ID]; known {
			sum -= was.Check()
		}
		sum += o.Check()
	}
	for _, id := range r.Gone {
		if was, known := st.objects[id]; known {
			sum -= was.Check()
		}
	}
	return sum
}

// unsaid lists what is known of objects that documents changed which are applied
// now, where the report says nothing of them: to their observers that is news,
// although to the host it is not. The caller holds Hub.mu.
func (st *state) unsaid(r hostlink.Report) (out []hostlink.ObjectReport) {
	said := make(map[string]bool, len(r.Objects)+len(r.Gone))
	for _, o := range r.Objects {
		said[o.ID] = true
	}
	for _, id := range r.Gone {
		said[id] = true
	}
	add := func(id string) {
		if o, known := st.objects[id]; known && !said[id] {
			said[id] = true
			o.Revision = max(o.Revision, r.Applied)
			out = append(out, o)
		}
	}
	if st.sentAll > 0 && st.sentAll <= r.Applied {
		for id := range st.objects {
			add(id)
		}
		return out
	}
	for id, revision := range st.sent {
		if revision <= r.Applied {
			add(id)
		}
	}
	return out
}

// take files a report. The caller holds Hub.mu.
func (st *state) take(r hostlink.Report) {
	if r.Since == 0 {
		st.objects, st.whole = make(map[string]hostlink.ObjectReport, len(r.Objects)), true
		r.Check = hostlink.CheckOf(r.Objects) // not every agent says it
	}
	st.check = r.Check
	for _, o := range r.Objects {
		st.objects[o.ID] = o
	}
	for _, id := range r.Gone {
		delete(st.objects, id)
	}
	if st.sentAll <= r.Applied {
		st.sentAll = 0
	}
	maps.DeleteFunc(st.sent, func(_ string, revision int64) bool { return revision <= r.Applied })
	r.Objects, r.Gone, r.Kept = nil, nil, nil
	st.report = r
}
