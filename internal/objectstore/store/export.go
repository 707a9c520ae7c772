package store

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// exportBatch bounds one transaction of the export.
const exportBatch = 256

// waiting is an event with its place.
type waiting struct {
	kept
	sequence uint64
}

// Sink takes events in order. It remembers the last sequence of each store with
// the events themselves, and ignores what it has had before.
type Sink interface {
	Take(ctx context.Context, store string, events []waiting) error
}

// export hands events to a sink and forgets them. Only what is durable goes out:
// an event that a power failure took back would leave its sequence to another one.
func (s *Store) export(ctx context.Context, to Sink) error {
	db, err := s.enter(ctx)
	if err != nil {
		return err
	}
	id, err := getFact(db, factID)
	if err != nil {
		return err
	}
	for {
		list, err := s.events(db)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := s.barrier(ctx, db); err != nil {
			return err
		}
		if err := to.Take(ctx, hex.EncodeToString(id), list); err != nil {
			return fmt.Errorf("export events of objects: %w", err)
		}
		err = s.change(ctx, nil, false, func(t *tx) error {
			w := batchWriter{batch: t.batch}
			for _, e := range list {
				w.delete(sequenceKey(e.sequence))
			}
			w.set(metaKey(factExported), binary.BigEndian.AppendUint64(nil, list[len(list)-1].sequence))
			return w.err
		})
		if err != nil || len(list) < exportBatch {
			return err
		}
	}
}

// events reads the first that wait. Under the lock of commits none is missing
// between two that are seen.
func (s *Store) events(db *pebble.DB) (out []waiting, err error) {
	s.commit.Lock()
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{eventFamily}, UpperBound: []byte{eventFamily + 1}})
	s.commit.Unlock()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok && len(out) < exportBatch; ok = it.Next() {
		e := waiting{sequence: binary.BigEndian.Uint64(it.Key()[1:])}
		if err := json.Unmarshal(it.Value(), &e.kept); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.sequence, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// barrier returns when everything that is visible is durable.
func (s *Store) barrier(ctx context.Context, db *pebble.DB) error {
	b := db.NewBatch()
	if err := b.LogData([]byte{0}, nil); err != nil {
		return err
	}
	if err := s.apply(ctx, db, b, nil); err != nil {
		return err
	}
	if err := s.await(b); err != nil {
		return err
	}
	return b.Close()
}
