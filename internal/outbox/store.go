package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// Entry is a published record.
type Entry struct {
	Sequence int64
	ID       string
	At       time.Time
	Hash     string // SHA-256 in hexadecimal over the predecessor's hash and the record
	Record   event.Record
}

// head is the last published record, kept in toolkit_facts.
type head struct {
	Sequence int64  `json:"sequence"`
	Hash     string `json:"hash"`
}

const headName = "outbox.head"

// batch bounds one publishing transaction.
const batch = 256

// Publish numbers and chains what was committed since the last call, and tells
// how many records that were. Several servers may call it: the row of the head
// is locked, one works and the others find nothing left.
func Publish(ctx context.Context, d *db.DB) (published int, err error) {
	for {
		// an idle cloud must not commit for nothing each second
		if some, err := anyWait(ctx, d); err != nil || !some {
			return published, err
		}
		var n int
		err := d.Write(ctx, func(tx *db.Tx) (err error) {
			n, err = publishBatch(ctx, tx)
			return err
		})
		published += n
		if err != nil || n < batch {
			return published, err
		}
	}
}

// anyWait tells whether a record waits to be published.
func anyWait(ctx context.Context, q db.Querier) (some bool, err error) {
	err = q.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM outbox_waiting) OR EXISTS (SELECT 1 FROM outbox_records WHERE sequence = 0)").Scan(&some)
	return some, db.Translate(err, "look whether records wait")
}

func publishBatch(ctx context.Context, tx *db.Tx) (int, error) {
	h, err := lockHead(ctx, tx)
	if err != nil {
		return 0, err
	}
	fresh, err := takeWaiting(ctx, tx)
	if err != nil || len(fresh) == 0 {
		return 0, err
	}
	for _, r := range fresh {
		h.Sequence++
		if h.Hash, err = chain(h, r); err != nil {
			return 0, err
		}
		r.Sequence, r.Hash = h.Sequence, h.Hash
	}
	if err := place(ctx, tx, fresh); err != nil {
		return 0, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE toolkit_facts SET value = $1 WHERE name = $2", string(text), headName)
	return len(fresh), db.Translate(err, "move the head of the outbox")
}

// place adds published records, some by one statement: always as many, for each
// number would be a statement of its own that is kept parsed.
func place(ctx context.Context, tx *db.Tx, list []*row) error {
	const together = 16
	for some := range slices.Chunk(list, together) {
		if len(some) == together {
			if err := rows.Insert(ctx, tx, some...); err != nil {
				return err
			}
			continue
		}
		for _, r := range some {
			if err := rows.Insert(ctx, tx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeWaiting takes a batch of those that wait from where they do, the oldest first.
func takeWaiting(ctx context.Context, tx *db.Tx) ([]*row, error) {
	fresh, err := rows.List(ctx, tx, listing.Query{Limit: batch / 2}.And("sequence", listing.Eq, 0))
	if err == nil && len(fresh) > 0 {
		_, err = rows.DeleteWhere(ctx, tx, oneOf(fresh, func(r *row) any { return r.ID }))
	}
	if err != nil {
		return nil, err
	}
	found, err := arrivals.List(ctx, tx, listing.Query{Limit: batch - len(fresh)})
	if err != nil || len(found) == 0 {
		return fresh, err
	}
	for _, w := range found {
		fresh = append(fresh, &row{ID: w.ID, CreatedAt: w.CreatedAt, Body: w.Body})
	}
	_, err = arrivals.DeleteWhere(ctx, tx, oneOf(found, func(w *waiting) any { return w.ID }))
	return fresh, err
}

// oneOf is the condition that a row is one of some.
func oneOf[T any](list []*T, id func(*T) any) listing.Term {
	t := listing.Term{Column: "id", Op: listing.In, Values: make([]any, len(list))}
	for i, r := range list {
		t.Values[i] = id(r)
	}
	return t
}

// lockHead makes publishers follow each other: the upsert holds the row.
func lockHead(ctx context.Context, tx *db.Tx) (h head, err error) {
	var text string
	err = tx.QueryRowContext(ctx, `INSERT INTO toolkit_facts (name, value) VALUES ($1, '{}')
		ON CONFLICT (name) DO UPDATE SET value = toolkit_facts.value RETURNING value`, headName).Scan(&text)
	if err != nil {
		return h, db.Translate(err, "lock the head of the outbox")
	}
	return h, json.Unmarshal([]byte(text), &h)
}

// chain is the hash of a record behind a head that already counts it.
func chain(h head, r *row) (string, error) {
	body, err := json.Marshal(r.Body.V) // maps are written in the order of their keys
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s\n%d\n%s", h.Hash, h.Sequence, r.ID, r.CreatedAt, body))
	return hex.EncodeToString(sum[:]), nil
}

// Read returns published records behind a sequence, in order, at most limit.
// A reader resumes with the last sequence it has seen.
func Read(ctx context.Context, q db.Querier, after int64, limit int) ([]Entry, error) {
	query := listing.Query{Limit: limit, Order: []listing.Order{{Column: "sequence"}}}.And("sequence", listing.More, max(0, after))
	found, err := rows.List(ctx, q, query)
	out := make([]Entry, 0, len(found))
	for _, r := range found {
		out = append(out, Entry{Sequence: r.Sequence, ID: r.ID, At: clock.FromMicros(r.CreatedAt), Hash: r.Hash, Record: r.Body.V})
	}
	return out, err
}

// Verify recomputes the chain; an error names the first record that was
// changed, or says that the end is missing.
func Verify(ctx context.Context, q db.Querier) error {
	h := head{}
	for {
		found, err := rows.List(ctx, q, listing.Query{Limit: batch, Order: []listing.Order{{Column: "sequence"}}}.And("sequence", listing.More, h.Sequence))
		if err != nil {
			return err
		}
		for _, r := range found {
			h.Sequence++
			if h.Hash, err = chain(h, r); err != nil {
				return err
			}
			if r.Sequence != h.Sequence || r.Hash != h.Hash {
				return fault.Internalf("audit record %d is not what was written", h.Sequence)
			}
		}
		if len(found) < batch {
			return verifyEnd(ctx, q, h)
		}
	}
}

func verifyEnd(ctx context.Context, q db.Querier, h head) error {
	var text string
	err := q.QueryRowContext(ctx, "SELECT value FROM toolkit_facts WHERE name = $1", headName).Scan(&text)
	if err = db.Translate(err, "read the head of the outbox"); err != nil {
		if fault.Is(err, fault.NotFound) && h.Sequence == 0 {
			return nil // nothing was ever published
		}
		return err
	}
	var want head
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		return err
	}
	if want.Sequence > h.Sequence {
		return fault.Internalf("audit records after %d are missing", h.Sequence)
	}
	return nil
}
