package store

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/outbox"
)

// outboxSink is the audit log of the cloud.
type outboxSink struct{ db *db.DB }

// Take implements Sink.
func (o outboxSink) Take(ctx context.Context, store string, events []waiting) error {
	return o.db.Write(ctx, func(tx *db.Tx) error {
		var done int64
		err := tx.QueryRowContext(ctx, `INSERT INTO objectstore_exports (store, sequence) VALUES ($1, 0)
			ON CONFLICT (store) DO UPDATE SET sequence = objectstore_exports.sequence RETURNING sequence`, store).Scan(&done)
		if err != nil {
			return db.Translate(err, "lock the export of events")
		}
		last := done
		for _, e := range events {
			if int64(e.sequence) <= done {
				continue
			}
			if err := outbox.WriteAt(ctx, tx, e.Record, clock.FromMicros(e.At)); err != nil {
				return err
			}
			last = int64(e.sequence)
		}
		_, err = tx.ExecContext(ctx, "UPDATE objectstore_exports SET sequence = $1 WHERE store = $2", last, store)
		return db.Translate(err, "note the export of events")
	})
}
