// Package await waits for what a test cannot be told of: it looks again and
// again, for a bounded time. What a test can be told of (a revision, a channel,
// a fake clock) needs none of it.
package await

import (
	"errors"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// How long is waited on a machine that runs other tests beside, and how often it is looked.
const (
	limit = 20 * time.Second
	pause = 5 * time.Millisecond
)

var errNot = errors.New("it is not so")

// That returns once something is so, and ends the test when it does not come about.
func That(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Nil(t, what, func() error {
		if ok() {
			return nil
		}
		return errNot
	})
}

// Nil is That for who can say what is still missing.
func Nil(t testing.TB, what string, look func() error) {
	t.Helper()
	clk := clock.Real{}
	for begun := clk.Now(); ; <-clk.After(pause) {
		err := look()
		if err == nil {
			return
		}
		if clk.Now().Sub(begun) > limit {
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
	}
}
