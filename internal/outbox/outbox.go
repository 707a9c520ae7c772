// Package outbox keeps audit records and events: written in the transaction of
// the change they tell of, numbered and chained by hash after the commit. They wait
// for that in a table of their own, which has no index: a change writes one page of
// it, and none of the three that a place among all records takes.
//
// One leased publisher per database gives each record its sequence and the
// SHA-256 over the record and its predecessor's hash; readers resume by
// sequence. Rejected: numbering inside the writing transactions, which would
// make every write wait for every other on PostgreSQL.
package outbox

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/answers"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/id"
)

// waiting is a record that is not published yet.
type waiting struct {
	ID        string                `db:"id"`
	CreatedAt int64                 `db:"created_at"`
	Body      db.JSON[event.Record] `db:"body"`
}

// row is a record as kept. The program of the version before puts records that are
// not published among the others, with sequence 0 and no hash.
type row struct {
	ID        string                `db:"id"`
	CreatedAt int64                 `db:"created_at"`
	Sequence  int64                 `db:"sequence"`
	Body      db.JSON[event.Record] `db:"body"`
	Hash      string                `db:"hash"`
}

var (
	rows     = db.NewTable[row]("outbox_records", "id", "Event")
	arrivals = db.NewTable[waiting]("outbox_waiting", "id", "Event")
)

// Write adds a record to the transaction of the change it tells of. Who asked
// is filled in from the context where the record does not say.
func Write(ctx context.Context, tx *db.Tx, r event.Record) error {
	return WriteAt(ctx, tx, r, clock.Real{}.Now())
}

// carried is the key of the record that a context brings along.
type carried struct{}

// With gives a context a record, for what is called by several and does not
// know of whom: the transaction that makes the change writes it (WriteCarried).
func With(ctx context.Context, r event.Record) context.Context {
	return context.WithValue(ctx, carried{}, r)
}

// WriteCarried is Write of the record that the context brings along, if any.
func WriteCarried(ctx context.Context, tx *db.Tx) error {
	r, ok := ctx.Value(carried{}).(event.Record)
	if !ok {
		return nil
	}
	return Write(ctx, tx, r)
}

// WriteAt is Write for a change that was committed elsewhere, at a time before.
func WriteAt(ctx context.Context, tx *db.Tx, r event.Record, at time.Time) error {
	actor := event.ActorOf(ctx)
	if r.UserID == "" {
		r.UserID = actor.UserID
	}
	if r.RequestID == "" {
		r.RequestID = actor.RequestID
	}
	if err := answers.Claim(ctx, tx, r.Object, at); err != nil {
		return err
	}
	return arrivals.Insert(ctx, tx, &waiting{ID: id.Ordered(), CreatedAt: clock.Micros(at), Body: db.J(r)})
}
