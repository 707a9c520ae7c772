// Package candidates is the API that finds providers for a request.
package candidates

import (
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/search"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves allocation candidates.
type Feature struct {
	store *records.Store
	clock clock.Clock
	rooms sync.Pool // *[]byte for answers, which are large and soon gone
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature {
	return &Feature{store: s, clock: c, rooms: sync.Pool{New: func() any { return new([]byte) }}}
}

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	return []policy.Rule{{Name: "placement:allocation_candidates:list", Check: policy.AdminOrService, Scopes: []string{policy.ScopeProject}, Description: "List allocation candidates."}}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	return []rest.Route{{Method: "GET", Path: "/allocation_candidates", Rule: "placement:allocation_candidates:list", Since: wire.Candidates, Handle: f.list}}
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	request, err := wire.ParseRequest(c.Values(), c.Version)
	if err != nil {
		return rest.Reply{}, err
	}
	room := f.rooms.Get().(*[]byte)
	err = f.store.Search(c.Context(), &request, func(x *search.Index) { *room = answer((*room)[:0], c.Version, &request, x) })
	if err != nil {
		return rest.Reply{}, wire.NamedBy(err, "Invalid resource class in resources parameter: ", "")
	}
	back := func() error {
		if cap(*room) <= largestRoom {
			f.rooms.Put(room)
		}
		return nil
	}
	return rest.Reply{Body: *room, Header: wire.Fresh(c.Version, time.Time{}, f.clock.Now()), Close: back}, nil
}

// largestRoom is what one keeps: the answer of some thousand hosts.
const largestRoom = 4 << 20
