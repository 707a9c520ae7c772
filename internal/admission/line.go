package admission

import (
	"context"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
)

// Line is a number of places for dear work, such as hashing passwords; those
// that are free go round the addresses that wait, so that a flood from one holds
// another up by one piece of work. Safe for concurrent use.
type Line struct {
	places func() int

	mu    sync.Mutex
	busy  int
	ring  []string // addresses that wait, in order of service
	queue map[string][]chan struct{}
}

// NewLine makes a line; places tells how many there are at the moment.
func NewLine(places func() int) *Line {
	return &Line{places: places, queue: map[string][]chan struct{}{}}
}

// Enter waits for a place; Unavailable when ctx ends before. The caller calls leave.
func (l *Line) Enter(ctx context.Context, address string) (leave func(), err error) {
	key := host(address)
	l.mu.Lock()
	if len(l.ring) == 0 && l.busy < l.places() {
		l.busy++
		l.mu.Unlock()
		return l.leave, nil
	}
	ready := make(chan struct{})
	if len(l.queue[key]) == 0 {
		l.ring = append(l.ring, key)
	}
	l.queue[key] = append(l.queue[key], ready)
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
	for len(l.ring) > 0 && l.busy < max(l.places(), 1) {
		key := l.ring[0]
		l.ring = l.ring[1:]
		first, rest := l.queue[key][0], l.queue[key][1:]
		delete(l.queue, key)
		if len(rest) > 0 {
			l.queue[key] = rest
			l.ring = append(l.ring, key)
		}
		l.busy++
		close(first)
	}
}

// giveUp takes back the wish for a place, or the place.
func (l *Line) giveUp(key string, ready chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range l.queue[key] {
		if r != ready {
			continue
		}
		if l.queue[key] = append(l.queue[key][:i:i], l.queue[key][i+1:]...); len(l.queue[key]) == 0 {
			delete(l.queue, key)
			for j, k := range l.ring {
				if k == key {
					l.ring = append(l.ring[:j:j], l.ring[j+1:]...)
					break
				}
			}
		}
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
