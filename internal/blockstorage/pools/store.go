package pools

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// door is what an operator said of a host. A host without a row is open.
type door struct {
	Host     string `db:"host"`
	Disabled bool   `db:"disabled"`
	Reason   string `db:"reason"`
	Frozen   bool   `db:"frozen"`
	At       int64  `db:"changed_at"`
}

var doorRows = db.NewTable[door]("blockstorage_doors", "host", "Host")

// Doors keeps which hosts get no new volumes. Safe for concurrent use.
type Doors struct{ db *db.DB }

// NewDoors makes the store.
func NewDoors(d *db.DB) *Doors { return &Doors{d} }

// Closed gives the reasons of hosts that get no new volumes.
func (s *Doors) Closed(ctx context.Context) (map[string]string, error) {
	all, err := s.all(ctx)
	out := map[string]string{}
	for host, d := range all {
		if d.Disabled || d.Frozen {
			out[host] = d.Reason
		}
	}
	return out, err
}

func (s *Doors) all(ctx context.Context) (map[string]door, error) {
	list, err := doorRows.Find(ctx, s.db)
	out := map[string]door{}
	for _, d := range list {
		out[d.Host] = *d
	}
	return out, err
}

// change lets f change what is said of a host.
func (s *Doors) change(ctx context.Context, tx *db.Tx, host string, now int64, f func(d *door) error) error {
	d, err := doorRows.GetForUpdate(ctx, tx, host)
	if fault.Is(err, fault.NotFound) {
		d, err = &door{Host: host}, nil
	}
	if err != nil {
		return err
	}
	if err := f(d); err != nil {
		return err
	}
	if !d.Disabled && !d.Frozen {
		_, err = doorRows.DeleteWhere(ctx, tx, listing.Term{Column: "host", Values: []any{host}})
		return err
	}
	d.At = now
	return doorRows.Upsert(ctx, tx, d)
}
