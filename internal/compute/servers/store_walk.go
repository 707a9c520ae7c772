package servers

import (
	"context"
	"sync"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// glimpse is what a walk reads of a server: columns alone, not all that it has.
type glimpse struct {
	ID    string `db:"id"`
	Host  string `db:"host"`
	VM    string `db:"vm_state"`
	Power int64  `db:"power_state"`
}

var glimpses = db.NewTable[glimpse]("compute_servers", "id", "Instance")

func (g *glimpse) brief() brief { return brief{compute.VMState(g.VM), compute.PowerState(g.Power)} }

// How many servers a reconciler that looks at every one of them reads at a time,
// and looks at in one run: in a small cloud all, in a large one in turn, so that
// it takes neither the memory nor the processors of those who ask for something.
const (
	walkPage  = 500
	cardsRun  = 5_000 // every 10 s
	powersRun = 20_000
)

// walk is a reconciler's way through all servers, by their ids. One that comes or
// goes meanwhile is seen or not; the others exactly once in a round.
type walk struct {
	mu   sync.Mutex
	last string
}

// next calls fn with pages of servers that match, until the end or until it has
// been enough for one run, and goes on from there at the next.
func (w *walk) next(ctx context.Context, s store, run int, where listing.Query, fn func([]*glimpse) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	where.Limit, where.Order = walkPage, []listing.Order{{Column: "id"}}
	for seen := 0; seen < run; seen += walkPage {
		page, err := glimpses.List(ctx, s.db, where.And("id", listing.More, w.last))
		if err != nil {
			return err
		}
		if len(page) > 0 {
			w.last = page[len(page)-1].ID
			err = fn(page)
		}
		if len(page) < walkPage {
			w.last = ""
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}
