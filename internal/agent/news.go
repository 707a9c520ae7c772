package agent

import (
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/hostlink"
)

// news knows what of a section's objects changed after what, so that a server
// that took a report needs just the rest. It is guarded by the section's mutex.
type news struct {
	now    int64            // counts changes
	of     map[string]int64 // by object, of those that are there
	left   map[string]int64 // of those that are not any more
	forgot int64            // of changes up to here not all are known by name
}

// mostLeft is how many objects that are gone are remembered.
const mostLeft = 1000

func (n *news) changed(id string) {
	if n.of == nil {
		n.of, n.left = map[string]int64{}, map[string]int64{}
	}
	n.now++
	n.of[id] = n.now
	delete(n.left, id)
}

func (n *news) gone(id string) {
	n.changed(id)
	delete(n.of, id)
	n.left[id] = n.now
	if len(n.left) > mostLeft {
		n.all()
	}
}

// all says that everything may have changed.
func (n *news) all() {
	n.now++
	n.forgot = n.now
	clear(n.of)
	clear(n.left)
}

// taken is the last report of a section that a server took, and what it had.
type taken struct {
	sequence, upto int64
	deltas         int // since the last whole one
}

// wholeAgain is after how many reports of changes a whole one is sent all the same.
const wholeAgain = 200

// summary is the section's report but for host and sequence: whole, or what
// changed since another was taken.
func (s *section) summary(since taken) (r hostlink.Report, next taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r = hostlink.Report{Section: s.name, Revision: s.doc.Revision, Digest: s.doc.Digest, Epoch: s.doc.Epoch, Applied: s.applied}
	next = taken{upto: s.news.now}
	r.Objects = make([]hostlink.ObjectReport, 0, len(s.objects)+len(s.kept))
	for _, o := range s.objects {
		if _, ok := s.kept[o.ID]; !ok {
			o.Revision = max(o.Revision, s.applied)
			r.Objects = append(r.Objects, o)
		}
	}
	s.tellKept(&r)
	r.Check = hostlink.CheckOf(r.Objects)
	if since.sequence > 0 && since.upto >= s.news.forgot && len(s.kept) == 0 && since.deltas < wholeAgain {
		r.Since, next.deltas = since.sequence, since.deltas+1
		r.Objects = slices.DeleteFunc(r.Objects, func(o hostlink.ObjectReport) bool { return s.news.of[o.ID] <= since.upto })
		for id, at := range s.news.left {
			if at > since.upto {
				r.Gone = append(r.Gone, id)
			}
		}
		slices.Sort(r.Gone)
	}
	slices.SortFunc(r.Objects, func(a, b hostlink.ObjectReport) int { return strings.Compare(a.ID, b.ID) })
	return r, next
}
