package tokens

import (
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// common is what servers of one database hold in common: its clock, and how
// lately this server has asked what the others did. A revocation by one server
// must hit what another issued before, whatever their own clocks say. How late
// it is is known between two bounds: tokens are stamped with the lower one,
// revocations with the upper one.
type common struct {
	clock  clock.Clock
	asking sync.Mutex // one question at a time

	mu        sync.Mutex
	known     bool
	asked     time.Duration // reading of the clock when the newest answer was asked for
	low, high int64         // bounds of the database's time minus the reading, µs
}

// learn takes over an answer: the database said now at some reading between asked and got.
func (c *common) learn(now int64, asked, got time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known && asked < c.asked {
		return // an older one
	}
	c.known, c.asked = true, asked
	c.low, c.high = now-got.Microseconds()-1, now-asked.Microseconds()+1
}

// now is the database's time between two bounds.
func (c *common) now() (low, high int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reading := clock.Elapsed(c.clock).Microseconds()
	return reading + c.low, reading + c.high
}

func (c *common) fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known && clock.Elapsed(c.clock)-c.asked < Fresh
}
