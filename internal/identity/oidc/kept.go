package oidc

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// kept is a document of the provider, fetched when somebody needs it, by one
// at a time. Those who wait take what the one before them got.
type kept[T any] struct {
	clock clock.Clock
	fetch func(context.Context) (T, error)
	turn  chan struct{} // holds one element while somebody fetches

	mu      sync.Mutex // guards what follows
	value   T
	fetched time.Duration // when, by clock.Elapsed
	good    bool          // there is a value
	failure error         // of the last attempt
	failed  time.Duration
}

func newKept[T any](c clock.Clock, fetch func(context.Context) (T, error)) *kept[T] {
	return &kept[T]{clock: c, fetch: fetch, turn: make(chan struct{}, 1)}
}

// get gives a value that is younger than age. Who fetches does so to the end,
// within the bounds of a call, also if its own client has gone: others wait for
// the same. A failed attempt is the answer for a while, and costs no value that
// is still young enough.
func (k *kept[T]) get(ctx context.Context, age time.Duration) (T, error) {
	if value, err, ok := k.recall(age); ok {
		return value, err
	}
	var none T
	select {
	case <-ctx.Done():
		return none, silent(ctx.Err())
	case k.turn <- struct{}{}:
	}
	defer func() { <-k.turn }()
	if value, err, ok := k.recall(age); ok {
		return value, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	value, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := clock.Elapsed(k.clock)
	if k.failure = err; err != nil {
		k.failed = now
		return none, err
	}
	k.value, k.good, k.fetched = value, true, now
	return value, nil
}

// recall tells whether what is kept is an answer.
func (k *kept[T]) recall(age time.Duration) (value T, err error, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := clock.Elapsed(k.clock)
	switch {
	case k.good && now-k.fetched < age:
		return k.value, nil, true
	case k.failure != nil && now-k.failed < retryAfter:
		return value, k.failure, true
	}
	return value, nil, false
}
