package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// tx is one change: rows that were read under the lock, and the batch.
type tx struct {
	s          *Store
	db         pebble.Reader // the index, or the batch on top of it
	batch      *pebble.Batch
	accounts   map[string]*accountRow
	containers map[string]*containerRow // by their key
	events     []event.Record
	gone       []fileID // files that nobody owns after the commit
}

// change runs fn under the locks of accounts and commits what it did. It
// returns when that is durable. layered lets fn read what it wrote itself, which
// costs; without it fn must not touch a name twice.
func (s *Store) change(ctx context.Context, accounts []string, layered bool, fn func(*tx) error) error {
	db, err := s.enter(ctx)
	if err != nil {
		return err
	}
	t := &tx{s: s, db: db, accounts: map[string]*accountRow{}, containers: map[string]*containerRow{}}
	if layered {
		t.batch = db.NewIndexedBatch()
		t.db = t.batch
	} else {
		t.batch = db.NewBatch()
	}
	applied := false
	err = s.locked(accounts, func() error {
		err := fn(t)
		if err == nil {
			err = t.writeRows()
		}
		if err == nil && (!t.batch.Empty() || len(t.events) > 0) {
			applied = true
			s.files.hold(t.gone) // a sweep must not take them before their end is durable
			err = s.apply(ctx, db, t.batch, t.events)
		}
		return err
	})
	if applied && err == nil {
		err = s.await(t.batch)
	}
	if applied && s.failure() != nil {
		return err // the log may still hold the batch, and what is gone may come back
	}
	if err == nil {
		s.files.remove(t.gone)
	}
	if applied {
		s.files.release(t.gone)
	}
	return firstError(err, t.batch.Close())
}

// await returns when a batch is durable.
func (s *Store) await(batch *pebble.Batch) error {
	if err := batch.SyncWait(); err != nil {
		s.fail(err)
		return unwritten(err)
	}
	return nil
}

func (s *Store) locked(accounts []string, fn func() error) error {
	var held []int
	for _, a := range accounts {
		h := fnv.New32a()
		h.Write([]byte(a))
		held = append(held, int(h.Sum32()%stripes))
	}
	slices.Sort(held)
	held = slices.Compact(held)
	for _, i := range held {
		s.locks[i].Lock()
	}
	defer func() {
		for _, i := range held {
			s.locks[i].Unlock()
		}
	}()
	return fn()
}

// apply gives events their places and makes a batch visible, in one order for
// both: who reads events up to one of them has missed none before it.
func (s *Store) apply(ctx context.Context, db *pebble.DB, batch *pebble.Batch, events []event.Record) (err error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.broken != nil {
		return unwritten(s.broken)
	}
	defer func() {
		if p := recover(); p != nil {
			s.broken, s.stuck = mustBeFailure(p), true
			err = unwritten(s.broken)
		}
	}()
	for _, e := range events {
		value, err := json.Marshal(kept{Record: actedBy(ctx, e), At: int64(s.now())})
		if err != nil {
			return fmt.Errorf("write event: %w", err)
		}
		s.sequence++
		if err := batch.Set(sequenceKey(s.sequence), value, nil); err != nil {
			return err
		}
	}
	return db.ApplyNoSyncWait(batch, pebble.Sync)
}

// mustBeFailure passes other panics on.
func mustBeFailure(p any) error {
	if f, ok := p.(indexFailure); ok {
		return errors.New(string(f))
	}
	panic(p)
}

// fail refuses writes from now on: what the log holds is not known any more.
func (s *Store) fail(err error) {
	s.commit.Lock()
	defer s.commit.Unlock()
	s.broken = errors.Join(s.broken, err)
}

func (s *Store) failure() error {
	s.commit.Lock()
	defer s.commit.Unlock()
	return s.broken
}

func unwritten(err error) error {
	if full(err) {
		return broke(err)
	}
	return fault.Unavailablef("Object storage cannot write").Because(err)
}

// kept is an event as it waits for its export.
type kept struct {
	event.Record
	At int64 `json:"at"`
}

func actedBy(ctx context.Context, e event.Record) event.Record {
	actor := event.ActorOf(ctx)
	if e.UserID == "" {
		e.UserID = actor.UserID
	}
	if e.RequestID == "" {
		e.RequestID = actor.RequestID
	}
	return e
}

// record adds an event, unless it is the zero one.
func (t *tx) record(e event.Record) {
	if e.Action != "" || e.Kind != "" || e.Object != "" {
		t.events = append(t.events, e)
	}
}

func (t *tx) now() time.Time { return clock.FromMicros(int64(t.s.now())) }

// account reads an account, or makes one that is not found.
func (t *tx) account(name string) (*accountRow, error) {
	if a := t.accounts[name]; a != nil {
		return a, nil
	}
	a, err := readAccount(t.db, name)
	if err != nil {
		return nil, err
	}
	t.accounts[name] = a
	return a, nil
}

// liveAccount is an account in which things can be made.
func (t *tx) liveAccount(name string) (*accountRow, error) {
	a, err := t.account(name)
	if err == nil && a.Deleted {
		err = fault.Conflictf("The account %s is deleted", name)
	}
	return a, err
}

func readAccount(db pebble.Reader, name string) (*accountRow, error) {
	value, err := get(db, accountKey(accountFamily, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return &accountRow{Account: objectstore.Account{Name: name, Headers: objectstore.Headers{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	counts, err := get(db, accountKey(accountCountFamily, name))
	if err != nil {
		return nil, err
	}
	return decodeAccount(value, counts, name)
}

// container reads a container with its account, or makes one that is not found.
func (t *tx) container(account, name string) (*containerRow, error) {
	key := string(containerKey(containerFamily, account, name))
	if c := t.containers[key]; c != nil {
		return c, nil
	}
	a, err := t.account(account)
	if err != nil {
		return nil, err
	}
	c, err := readContainer(t.db, account, name)
	if err != nil {
		return nil, err
	}
	c.account = a
	t.containers[key] = c
	return c, nil
}

// liveContainer is a container in which things can be found and made.
func (t *tx) liveContainer(account, name string) (*containerRow, error) {
	if _, err := t.liveAccount(account); err != nil {
		return nil, err
	}
	c, err := t.container(account, name)
	if err == nil && !c.found {
		err = noContainer(name)
	}
	return c, err
}

func readContainer(db pebble.Reader, account, name string) (*containerRow, error) {
	value, err := get(db, containerKey(containerFamily, account, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return &containerRow{Container: objectstore.Container{Account: account, Name: name, Headers: objectstore.Headers{}}}, nil
	}
	if err != nil {
		return nil, err
	}
	counts, err := get(db, containerKey(containerCountFamily, account, name))
	if err != nil {
		return nil, err
	}
	return decodeContainer(value, counts, account, name)
}

func noContainer(name string) error { return fault.NotFoundf("The container %s does not exist", name) }

// addAccount makes an account that is missing.
func (t *tx) addAccount(a *accountRow) {
	if a.found {
		return
	}
	a.CreatedAt = t.now()
	a.ChangedAt = a.CreatedAt
	a.found, a.changed, a.moved = true, true, true
}

// addContainer makes a container, and its account if need be.
func (t *tx) addContainer(c *containerRow) {
	t.addAccount(c.account)
	c.number = newNumber()
	c.CreatedAt = t.now()
	c.ChangedAt = c.CreatedAt
	c.found, c.changed, c.moved = true, true, true
	c.account.Containers++
	c.account.moved = true
}

// writeRows puts rows and counts that changed into the batch.
func (t *tx) writeRows() error {
	w := batchWriter{batch: t.batch}
	for name, a := range t.accounts {
		if a.changed {
			w.set(accountKey(accountFamily, name), a.encode())
		}
		if a.moved {
			w.set(accountKey(accountCountFamily, name), a.encodeCounts())
		}
	}
	for _, c := range t.containers {
		if c.changed && !c.found {
			w.delete(containerKey(containerFamily, c.Account, c.Name))
			w.delete(containerKey(containerCountFamily, c.Account, c.Name))
			continue
		}
		if c.changed {
			w.set(containerKey(containerFamily, c.Account, c.Name), c.encode())
		}
		if c.moved {
			w.set(containerKey(containerCountFamily, c.Account, c.Name), c.encodeCounts())
		}
	}
	return w.err
}

// batchWriter adds to a batch; the first mistake sticks.
type batchWriter struct {
	batch *pebble.Batch
	err   error
}

func (w *batchWriter) set(key, value []byte) {
	w.err = errors.Join(w.err, w.batch.Set(key, value, nil))
}

func (w *batchWriter) delete(key []byte) {
	w.err = errors.Join(w.err, w.batch.Delete(key, nil))
}
