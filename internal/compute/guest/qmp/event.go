package qmp

import (
	"context"
	"fmt"
	"sync"
)

// maxQueued bounds what a subscriber may fall behind; a guest can make QEMU
// send events (it resets, ejects, ...) as fast as it likes.
const maxQueued = 4096

// Subscription is a queue of the events that came since Subscribe.
type Subscription struct {
	c     *Client
	names map[string]bool // empty: all
	wake  chan struct{}

	mu    sync.Mutex
	queue []Event
	ended bool
}

// Subscribe starts queueing events of these names, of all names if there are
// none. Subscribe before the command whose event is waited for. Beyond 4,096
// queued events the oldest are dropped.
func (c *Client) Subscribe(names ...string) *Subscription {
	s := &Subscription{c: c, names: map[string]bool{}, wake: make(chan struct{}, 1)}
	for _, n := range names {
		s.names[n] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs == nil {
		s.finish()
		return s
	}
	c.subs[s] = struct{}{}
	return s
}

// Next waits for the next event. ErrClosed after the last one of a connection that ended.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		e, ok, ended := s.take()
		switch {
		case ok:
			return e, nil
		case ended:
			return Event{}, ErrClosed
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("wait for an event: %w", context.Cause(ctx))
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	delete(s.c.subs, s)
}

func (s *Subscription) take() (e Event, ok, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return Event{}, false, s.ended
	}
	e, s.queue = s.queue[0], s.queue[1:]
	return e, true, s.ended
}

func (s *Subscription) put(e Event) {
	if len(s.names) > 0 && !s.names[e.Name] {
		return
	}
	s.mu.Lock()
	if len(s.queue) >= maxQueued {
		s.queue = s.queue[1:]
	}
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	s.poke()
}

func (s *Subscription) finish() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.poke()
}

func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (c *Client) publish(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.subs {
		s.put(e)
	}
}
