package admission

import (
	"context"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rota"
)

// Line is a number of places for dear work, such as hashing passwords; those
// that are free go round the addresses that wait, so that a flood from one holds
// another up by one piece of work. Safe for concurrent use.
type Line struct {
	places func() int

	mu      sync.Mutex
	busy    int
	waiting rota.Queue[chan struct{}] // by address
}

// NewLine makes a line; places tells how many there are at the moment.
func NewLine(places func() int) *Line {
	return &Line{places: places}
}

// Enter waits for a place; Unavailable when ctx ends before. The caller calls leave.
func (l *Line) Enter(ctx context.Context, address string) (leave func(), err error) {
	key := host(address)
	l.mu.Lock()
	if l.waiting.Len() == 0 && l.busy < l.places() {
		l.busy++
		l.mu.Unlock()
		return l.leave, nil
	}
	ready := make(chan struct{})
	l.waiting.Add(key, ready)
	l.serve()
	l.mu.Unlock()
	select {
	case <-ready:
		return l.leave, nil
	case <-ctx.Done():
		l.giveUp(key, ready)
		return nil, fault.Unavailablef("Too many logins at once. Try again later.").Because(ctx.Err())
	}
}

func (l *Line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.serve()
}

// serve gives free places to those who wait. Under mu.
func (l *Line) serve() {
	for l.busy < max(l.places(), 1) {
		first, ok := l.waiting.Next(nil)
		if !ok {
			return
		}
		l.busy++
		close(first)
	}
}

// giveUp takes back the wish for a place, or the place.
func (l *Line) giveUp(key string, ready chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.Remove(key, func(r chan struct{}) bool { return r == ready }) {
		return
	}
	l.busy-- // it was given at the same moment
	l.serve()
}

// Mixed tells whether several callers ask at the moment, or one does while
// another's requests, which may have come long ago, are not answered yet.
func (g *Gate) Mixed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, last := g.cfg.Clock.Now(), g.last.who
	if last == nil {
		return false
	}
	rest := g.active
	if last.open > 0 {
		rest--
	}
	return g.others(last, now) || rest > 0 && now.Sub(g.last.at) < recent
}
