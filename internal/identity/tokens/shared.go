package tokens

import (
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// common is what servers of one database hold in common: its clock, and how
// lately this server has asked what the others did. A revocation by one server
// must hit what another issued before, whatever their own clocks say.
type common struct {
	clock  clock.Clock
	asking sync.Mutex // one question at a time

	mu    sync.Mutex
	known bool
	asked time.Duration // reading of the clock when the newest answer was asked for
	shift int64         // the database's time minus the reading, µs
}

// learn takes over an answer: the database said now at some reading between asked and got.
func (c *common) learn(now int64, asked, got time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	low, high := now-got.Microseconds(), now-asked.Microseconds()
	if !c.known || c.shift < low || c.shift > high { // else what was known is as good
		c.shift = low + (high-low)/2
	}
	c.known, c.asked = true, max(c.asked, asked)
}

// now is the database's time.
func (c *common) now() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return clock.Elapsed(c.clock).Microseconds() + c.shift, c.known
}

func (c *common) fresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known && clock.Elapsed(c.clock)-c.asked < Fresh
}
