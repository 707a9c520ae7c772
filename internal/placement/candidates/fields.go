package candidates

import (
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// writer spells an answer. Of a thousand hosts it is 400 kB: made of maps first
// it would take more than finding the hosts. Members are sorted, as rest.JSON does.
type writer struct {
	b       []byte
	version microversion.Version
	shown   map[string]bool // classes of summaries; nil: all
	keys    []string        // of a small map, used again
	n       int             // members written of the present list

	last     []search.Take // amounts written last, mostly those of the next candidate
	from, to int           // where they are
}

// answer is the body of the answer, in room that is used again.
func answer(room []byte, v microversion.Version, request *placement.Request, x *search.Index) []byte {
	w := &writer{version: v, shown: classes(v, request), b: room}
	w.add(`{"allocation_requests":[`)
	shown := x.Ways(request, w.way)
	w.between()
	for _, p := range shown {
		if v >= wire.NestedCandidates {
			w.next()
			w.b = append(w.b, p.Spelt(spelt)...)
		} else {
			w.provider(p.Summary())
		}
	}
	w.add(`}}`)
	return w.b
}

// between ends the candidates, and begins with the providers.
func (w *writer) between() {
	w.add(`],"provider_summaries":{`)
	w.n = 0
}

// next begins another member.
func (w *writer) next() {
	w.comma(w.n)
	w.n++
}

// spelt is a provider as all versions since that of nested ones show it.
func spelt(p placement.Summary) []byte {
	w := writer{version: wire.NestedCandidates}
	w.provider(p)
	return slices.Clip(w.b)
}

// classes are those that summaries show; nil: all.
func classes(v microversion.Version, request *placement.Request) map[string]bool {
	if v >= wire.AllResources {
		return nil
	}
	out := map[string]bool{}
	for _, g := range request.Groups {
		for class := range g.Resources {
			out[class] = true
		}
	}
	return out
}

// way is a candidate as the body of PUT /allocations takes it: a list of
// providers before 1.12, an object by provider since.
func (w *writer) way(one *search.Way) {
	w.next()
	if w.version < wire.AllocationsByName {
		w.add(`{"allocations":[`)
		w.providers(one.Takes, func(uuid string) {
			w.add(`{"resource_provider":{"uuid":`)
			w.text(uuid)
			w.add(`},"resources":`)
		})
		w.add(`]}`)
		return
	}
	w.add(`{"allocations":{`)
	w.providers(one.Takes, func(uuid string) {
		w.name(uuid)
		w.add(`{"resources":`)
	})
	w.add(`}`)
	if w.version >= wire.Mappings {
		w.add(`,"mappings":{`)
		for i, s := range one.Serves {
			w.comma(i)
			w.name(s.Suffix)
			w.texts(s.Providers)
		}
		w.add(`}`)
	}
	w.add(`}`)
}

// providers writes what is taken of each provider, behind what begin writes.
func (w *writer) providers(takes []search.Take, begin func(uuid string)) {
	for i := 0; len(takes) > 0; i++ {
		n := 1
		for n < len(takes) && takes[n].Provider == takes[0].Provider {
			n++
		}
		w.comma(i)
		begin(takes[0].Provider)
		w.amounts(takes[:n])
		w.add(`}`)
		takes = takes[n:]
	}
}

func (w *writer) amounts(of []search.Take) {
	if slices.EqualFunc(of, w.last, func(a, b search.Take) bool { return a.Class == b.Class && a.Amount == b.Amount }) {
		w.b = append(w.b, w.b[w.from:w.to]...)
		return
	}
	w.last, w.from = append(w.last[:0], of...), len(w.b)
	w.add(`{`)
	for i, t := range of {
		w.comma(i)
		w.name(t.Class)
		w.number(t.Amount)
	}
	w.add(`}`)
	w.to = len(w.b)
}

// provider writes a provider's summary behind its name.
func (w *writer) provider(p placement.Summary) {
	w.next()
	w.name(p.UUID)
	w.summary(p)
}

func (w *writer) summary(p placement.Summary) {
	w.add(`{`)
	if w.version >= wire.NestedCandidates {
		w.add(`"parent_provider_uuid":`)
		if p.Parent == "" {
			w.add(`null`)
		} else {
			w.text(p.Parent)
		}
		w.add(`,`)
	}
	w.add(`"resources":{`)
	n := 0
	for _, class := range sorted(&w.keys, p.Resources) {
		if w.shown != nil && !w.shown[class] {
			continue
		}
		w.comma(n)
		n++
		w.name(class)
		w.add(`{"capacity":`)
		w.number(p.Resources[class].Capacity)
		w.add(`,"used":`)
		w.number(p.Resources[class].Used)
		w.add(`}`)
	}
	w.add(`}`)
	if w.version >= wire.NestedCandidates {
		w.add(`,"root_provider_uuid":`)
		w.text(p.Root)
	}
	if w.version >= wire.CandidatesRequired {
		w.add(`,"traits":`)
		w.texts(p.Traits)
	}
	w.add(`}`)
}

// sorted gives the names of a small map, in room that is used again.
func sorted[M ~map[string]V, V any](room *[]string, m M) []string {
	keys := (*room)[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	*room = keys
	return keys
}

func (w *writer) add(s string) { w.b = append(w.b, s...) }

func (w *writer) comma(i int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
}

func (w *writer) number(n int64) { w.b = strconv.AppendInt(w.b, n, 10) }

func (w *writer) name(s string) {
	w.text(s)
	w.b = append(w.b, ':')
}

func (w *writer) texts(list []string) {
	w.add(`[`)
	for i, s := range list {
		w.comma(i)
		w.text(s)
	}
	w.add(`]`)
}

func (w *writer) text(s string) { w.b, _ = rest.AppendText(w.b, s) } // which fails for no string
