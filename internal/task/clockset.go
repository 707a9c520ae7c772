package task

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

// Rows keep deadlines and pauses as wall time, which others than this process
// set. When somebody does, what this engine's sagas and clean-ups wait for moves
// with it, so that none is given up early and none waits for a day.

// setBy is how far the wall clock must have moved from the steady one: less is drift.
const setBy = 2 * time.Second

// wall notices that the clock was set.
type wall struct {
	mu     sync.Mutex
	at     int64 // wall time in microseconds, and
	steady time.Duration
	times  int // it was set
}

// watchClock begins to watch the clock.
func (e *Engine) watchClock() {
	e.wall.mu.Lock()
	defer e.wall.mu.Unlock()
	e.wall.at, e.wall.steady = clock.Micros(e.o.Clock.Now()), clock.Elapsed(e.o.Clock)
}

// heedClock moves what waits with the clock if that was set, and tells how
// often it was by now. Until the rows say so, nobody goes on.
func (e *Engine) heedClock(ctx context.Context) (times int, err error) {
	w := &e.wall
	w.mu.Lock()
	defer w.mu.Unlock()
	at, steady := clock.Micros(e.o.Clock.Now()), clock.Elapsed(e.o.Clock)
	by := at - w.at - (steady - w.steady).Microseconds()
	if w.at != 0 && max(by, -by) >= setBy.Microseconds() {
		e.o.Log.Warn("the clock was set; deadlines move with it", "by", time.Duration(by)*time.Microsecond)
		if err := e.o.DB.Write(ctx, func(tx *db.Tx) error { return postpone(ctx, tx, e.o.Owner, by) }); err != nil {
			return w.times, err
		}
		w.times++
	}
	w.at, w.steady = at, steady
	return w.times, nil
}
