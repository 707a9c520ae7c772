package candidates

import (
	"maps"
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// writer spells an answer. Of a thousand hosts it is 400 kB: made of maps first
// it would take more than finding the hosts. Members are sorted, as rest.JSON does.
type writer struct {
	b       []byte
	version microversion.Version
	keys    []string // of a small map, used again
	uuids   []string // of a candidate, used again
}

// answer is the body of the answer.
func answer(v microversion.Version, request *placement.Request, found placement.Candidates) []byte {
	w := &writer{version: v, b: make([]byte, 0, 64+128*len(found.List)+384*len(found.Providers))}
	w.add(`{"allocation_requests":[`)
	for i := range found.List {
		w.comma(i)
		w.candidate(&found.List[i])
	}
	w.add(`],"provider_summaries":{`)
	shown := classes(v, request)
	for i, uuid := range slices.Sorted(maps.Keys(found.Providers)) {
		w.comma(i)
		w.name(uuid)
		w.summary(found.Providers[uuid], shown)
	}
	w.add(`}}`)
	return w.b
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

// candidate is one as the body of PUT /allocations takes it: a list of
// providers before 1.12, an object by provider since.
func (w *writer) candidate(one *placement.Candidate) {
	if w.version < wire.AllocationsByName {
		w.add(`{"allocations":[`)
		for i, uuid := range sorted(&w.uuids, one.Allocations) {
			w.comma(i)
			w.add(`{"resource_provider":{"uuid":`)
			w.text(uuid)
			w.add(`},"resources":`)
			w.amounts(one.Allocations[uuid])
			w.add(`}`)
		}
		w.add(`]}`)
		return
	}
	w.add(`{"allocations":{`)
	for i, uuid := range sorted(&w.uuids, one.Allocations) {
		w.comma(i)
		w.name(uuid)
		w.add(`{"resources":`)
		w.amounts(one.Allocations[uuid])
		w.add(`}`)
	}
	w.add(`}`)
	if w.version >= wire.Mappings {
		w.add(`,"mappings":{`)
		for i, suffix := range sorted(&w.keys, one.Mappings) {
			w.comma(i)
			w.name(suffix)
			w.texts(one.Mappings[suffix])
		}
		w.add(`}`)
	}
	w.add(`}`)
}

func (w *writer) amounts(of placement.Resources) {
	w.add(`{`)
	for i, class := range sorted(&w.keys, of) {
		w.comma(i)
		w.name(class)
		w.number(of[class])
	}
	w.add(`}`)
}

func (w *writer) summary(p placement.Summary, shown map[string]bool) {
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
		if shown != nil && !shown[class] {
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
