package pools

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// closed is a host that gets no new volumes.
type closed struct {
	Host   string `db:"host"`
	Reason string `db:"reason"`
	At     int64  `db:"closed_at"`
}

var closedRows = db.NewTable[closed]("blockstorage_closed_hosts", "host", "Closed host")

// Doors keeps which hosts get no new volumes. Safe for concurrent use.
type Doors struct{ db *db.DB }

// NewDoors makes the store.
func NewDoors(d *db.DB) *Doors { return &Doors{d} }

// Closed gives the reasons of closed hosts.
func (s *Doors) Closed(ctx context.Context) (map[string]string, error) {
	rows, err := closedRows.Find(ctx, s.db)
	out := map[string]string{}
	for _, r := range rows {
		out[r.Host] = r.Reason
	}
	return out, err
}

func (s *Doors) shut(ctx context.Context, tx *db.Tx, host, reason string, now int64) error {
	return closedRows.Upsert(ctx, tx, &closed{host, reason, now})
}

func (s *Doors) open(ctx context.Context, tx *db.Tx, host string) error {
	_, err := closedRows.DeleteWhere(ctx, tx, listing.Term{Column: "host", Values: []any{host}})
	return err
}
