package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// leader lets one of several waiting writers run all of their transactions as
// one: each in a savepoint, one durable commit for all. Who comes while nobody
// leads runs the batch that it is the first of; a goroutine leads those who came
// meanwhile, and ends when nobody waits.
type leader struct {
	conn    *sql.Conn // used only while lead is held
	count   *counters
	changes *changes
	folder  *folder

	lead   sync.Mutex
	commit time.Duration // that the last one took; used only while lead is held

	mu      sync.Mutex
	led     bool // somebody leads; otherwise nobody waits
	ended   bool
	queue   turns
	leading sync.WaitGroup // while led
}

type request struct {
	ctx     context.Context
	project string
	fn      func(tx *Tx) error
	tx      *Tx
	err     error
	done    chan struct{}
}

func (l *leader) write(ctx context.Context, fn func(tx *Tx) error) error {
	r := &request{ctx: ctx, project: event.ActorOf(ctx).ProjectID, fn: fn, done: make(chan struct{})}
	leads, err := l.join(r)
	if err != nil {
		return err
	}
	if leads {
		l.batch()
		if l.goesOn() {
			go l.rest()
		}
	}
	<-r.done
	if r.err != nil {
		return r.err
	}
	for _, f := range r.tx.after {
		f()
	}
	return nil
}

// join is true for somebody who has to lead: the first of the next batch.
func (l *leader) join(r *request) (leads bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false, fault.Unavailablef("The database is closed.")
	}
	l.queue.Add(r.project, r)
	if l.led {
		return false, nil
	}
	l.led = true
	l.leading.Add(1)
	return true, nil
}

// goesOn is false when nobody waits and nobody leads any more.
func (l *leader) goesOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.Len() > 0 {
		return true
	}
	l.led = false
	l.leading.Done()
	return false
}

// end lets nobody come any more, and waits for those who came.
func (l *leader) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.leading.Wait()
	l.folder.leave()
}

// rest leads until nobody waits.
func (l *leader) rest() {
	for more := true; more; more = l.goesOn() {
		l.batch()
	}
}

// batch writes one batch and tells who was in it.
func (l *leader) batch() {
	l.lead.Lock()
	defer l.lead.Unlock()
	for _, r := range l.run() {
		if r.tx != nil {
			r.tx.over()
		}
		close(r.done)
	}
}

// next takes the next request of a batch that has been worked on for a while.
func (l *leader) next(b *batch, worked time.Duration) (*request, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.next(b, worked)
}

// all takes everybody who waits into a batch.
func (l *leader) all(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r, ok := l.queue.Next(nil); ok; r, ok = l.queue.Next(nil) {
		b.requests = append(b.requests, r)
	}
}

// begin takes the first of a batch.
func (l *leader) begin() (*batch, *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.queue.begin(l.commit)
	r, _ := l.queue.next(b, 0) // somebody waits: the caller
	return b, r
}

// run writes one batch and gives who was in it.
func (l *leader) run() []*request {
	ctx := context.Background() // a batch is not cut short by one caller who gave up
	var steady clock.Real
	b, r := l.begin()
	begun := steady.Elapsed()
	_, err := l.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	switch {
	case err != nil:
		l.all(b) // who waits would wait as long for the same
		b.fail(translate(err, "begin"))
		return b.requests
	case b.most == 1: // nobody else's work has to survive its failure
		if l.runAlone(ctx, r) != nil {
			return b.requests
		}
	default:
		for n, ok := 0, true; ok; n++ {
			r.err = l.runOne(ctx, r, fmt.Sprintf("s%d", n))
			r, ok = l.next(b, steady.Elapsed()-begun)
		}
	}
	worked := steady.Elapsed()
	if _, err := l.conn.ExecContext(ctx, "COMMIT"); err != nil {
		b.fail(translate(err, "commit"))
		// A failed commit may already have rolled back.
		_, _ = l.conn.ExecContext(ctx, "ROLLBACK")
		return b.requests
	}
	l.commit = steady.Elapsed() - worked
	l.count.commits.Add(1)
	l.folder.count(len(b.requests))
	for _, r := range b.requests {
		if r.err == nil {
			l.count.writes.Add(1)
		}
	}
	return b.requests
}

// fail gives those of a batch that have not failed themselves an error.
func (b *batch) fail(err error) {
	for _, r := range b.requests {
		if r.err == nil {
			r.err = err
		}
	}
}

// runAlone leaves no transaction behind when it fails.
func (l *leader) runAlone(ctx context.Context, r *request) error {
	r.err = r.play(l)
	if r.err != nil {
		if _, e := l.conn.ExecContext(ctx, "ROLLBACK"); e != nil {
			r.err = errors.Join(r.err, translate(e, "rollback"))
		}
	}
	return r.err
}

// play runs the request's function.
func (r *request) play(l *leader) error {
	if err := r.ctx.Err(); err != nil {
		return fault.Unavailablef("The request was given up.").Because(err)
	}
	r.tx = &Tx{exec: l.conn, engine: SQLite, count: l.count, changes: l.changes}
	return call(r.fn, r.tx)
}

func (l *leader) runOne(ctx context.Context, r *request, savepoint string) error {
	if _, err := l.conn.ExecContext(ctx, "SAVEPOINT "+savepoint); err != nil {
		return translate(err, "savepoint")
	}
	err := r.play(l)
	if err != nil {
		if _, e := l.conn.ExecContext(ctx, "ROLLBACK TO "+savepoint); e != nil {
			return errors.Join(err, translate(e, "rollback"))
		}
	}
	if _, e := l.conn.ExecContext(ctx, "RELEASE "+savepoint); e != nil {
		return errors.Join(err, translate(e, "release"))
	}
	return err
}
