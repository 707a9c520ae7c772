package hosts

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// staleAfter is how long Recent may not know of what another server of the cloud
// has changed.
const staleAfter = time.Second

// recent is the table of hosts in memory. Each decision about a place looks at
// all hosts: reading them from the database each time would make every new
// server as expensive as there are hosts.
type recent struct {
	mu      sync.Mutex
	rows    []*row // nil: not known; never changed once they are here
	read    time.Time
	changes int // by this server
}

// Recent is List from memory: what this server has changed is there at once,
// what another one has changed within a second. Whether hosts are up is of now.
func (s *Hosts) Recent(ctx context.Context) ([]*Host, error) {
	known := &s.recent
	known.mu.Lock()
	found, changes := known.rows, known.changes
	if found != nil && s.clock.Now().Sub(known.read) >= staleAfter {
		found = nil
	}
	known.mu.Unlock()
	if found == nil {
		at := s.clock.Now()
		all, err := rows.List(ctx, s.db, listing.Query{Order: []listing.Order{{Column: "name"}}})
		if err != nil {
			return nil, err
		}
		found = all
		known.mu.Lock()
		if known.changes == changes {
			known.rows, known.read = found, at
		}
		known.mu.Unlock()
	}
	out := make([]*Host, len(found))
	for i, r := range found {
		out[i] = s.host(r)
	}
	return out, nil
}

// changed makes Recent read again once a transaction is durable.
func (s *Hosts) changed(tx *db.Tx) {
	tx.AfterCommit(func() {
		s.recent.mu.Lock()
		defer s.recent.mu.Unlock()
		s.recent.rows = nil
		s.recent.changes++
	})
}
