package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Expired implements objectstore.Store.
func (s *Store) Expired(ctx context.Context, now time.Time, limit int) (out []objectstore.Object, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	end := binary.BigEndian.AppendUint64([]byte{expiryFamily}, uint64(clock.Micros(now))+1)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{expiryFamily}, UpperBound: end})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		o, err := expiring(db, it.Key(), it.Value())
		if err != nil {
			return nil, err
		}
		if o != nil {
			out = append(out, o.Object)
		}
	}
	return out, nil
}

// expiring finds the object of an expiry; nil when it went meanwhile.
func expiring(db pebble.Reader, key, value []byte) (*record, error) {
	const timeSize = 8
	name, err := nameOf(key, 1+timeSize+numberSize)
	if err != nil {
		return nil, err
	}
	r := newReader(value)
	c := &containerRow{number: binary.BigEndian.Uint64(key[1+timeSize:])}
	c.Account, c.Name = r.text(), r.text()
	if err := r.end("expiry"); err != nil {
		return nil, err
	}
	return current(db, c, name)
}

// expireBatch is how many objects one look takes.
const expireBatch = 1000

// expireObjects deletes what has expired, as a user would.
func (s *Store) expireObjects(ctx context.Context) error {
	for {
		now := s.Clock.Now()
		list, err := s.Expired(ctx, now, expireBatch)
		if err != nil {
			return err
		}
		for _, o := range list {
			if err := s.expireObject(ctx, o.Key, now); err != nil {
				return err
			}
		}
		if len(list) < expireBatch {
			return nil
		}
	}
}

func (s *Store) expireObject(ctx context.Context, k objectstore.Key, now time.Time) error {
	err := s.change(ctx, []string{k.Account}, false, func(t *tx) error {
		c, err := t.liveContainer(k.Account, k.Container)
		if err != nil {
			return err
		}
		_, err = t.deleteCurrent(c, k.Name, func(o *objectstore.Object) error {
			if o == nil || o.DeleteAt.IsZero() || o.DeleteAt.After(now) {
				return noObject(k.Name) // it was written anew
			}
			return nil
		}, true)
		return err
	})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
		return nil // the reaper has the rest of a deleted account
	}
	return err
}
