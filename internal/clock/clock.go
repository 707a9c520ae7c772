// Package clock is the only source of time. Everything that asks for the time
// takes a Clock, so that tests step it instead of sleeping.
package clock

import (
	"sync"
	"time"
)

// Clock tells time and waits. Implementations are safe for concurrent use.
type Clock interface {
	Now() time.Time
	// After delivers once the duration has passed on this clock.
	After(d time.Duration) <-chan time.Time
}

// Real is the machine's clock, in UTC.
type Real struct{}

// Now is the wall time in UTC. It jumps when somebody sets the machine's clock:
// leases and timeouts are measured by Elapsed.
func (Real) Now() time.Time { return time.Now().UTC() }

// Elapsed is the time since it was first asked in this process, by the monotonic clock.
func (Real) Elapsed() time.Duration { return time.Since(begun()) }

var begun = sync.OnceValue(time.Now)

// Elapsed is a reading of a clock that goes on steadily, whoever sets the wall
// time: only differences of readings mean anything. A clock that has no such
// reading is taken by its wall time.
func Elapsed(c Clock) time.Duration {
	if steady, ok := c.(interface{ Elapsed() time.Duration }); ok {
		return steady.Elapsed()
	}
	return c.Now().Sub(time.Unix(0, 0))
}

// After waits on the machine's monotonic clock.
func (Real) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Micros is the database's form of a time: microseconds since 1970, UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros is the inverse of Micros.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Fake is a clock that moves when it is told to. The zero value stands at 1970.
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	waiters []waiter
}

type waiter struct {
	at time.Time
	ch chan time.Time
}

// NewFake starts a fake clock at a time.
func NewFake(at time.Time) *Fake { return &Fake{now: at.UTC()} }

// Now is the time the clock was set to.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// After delivers when Advance has moved the clock far enough.
func (f *Fake) After(d time.Duration) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- f.now
		return ch
	}
	f.waiters = append(f.waiters, waiter{f.now.Add(d), ch})
	return ch
}

// Advance moves the clock and wakes whoever waited for a time now past.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	left := f.waiters[:0]
	for _, w := range f.waiters {
		if w.at.After(f.now) {
			left = append(left, w)
			continue
		}
		w.ch <- f.now
	}
	f.waiters = left
}
