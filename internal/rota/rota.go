// Package rota lets those who wait go in turns: each key's in their order, and
// keys one after the other, so that many of one key hold another's up by one.
package rota

import "slices"

// Queue is who waits, by key. Its zero value is ready. Not safe for concurrent use.
type Queue[T any] struct {
	ring    []string // keys with somebody waiting, in order of service
	waiting map[string][]T
	n       int
}

// Add lets v wait behind those of its key.
func (q *Queue[T]) Add(key string, v T) {
	if q.waiting == nil {
		q.waiting = map[string][]T{}
	}
	if len(q.waiting[key]) == 0 {
		q.ring = append(q.ring, key)
	}
	q.waiting[key] = append(q.waiting[key], v)
	q.n++
}

// Next takes the first of the key whose turn it is among those allowed; nil
// allows all. False: nobody waits.
func (q *Queue[T]) Next(allowed func(key string) bool) (v T, ok bool) {
	i := 0
	if allowed != nil {
		i = slices.IndexFunc(q.ring, allowed)
	}
	if i < 0 || i >= len(q.ring) {
		return v, false
	}
	key := q.ring[i]
	q.ring = slices.Delete(q.ring, i, i+1)
	v = q.waiting[key][0]
	q.keep(key, q.waiting[key][1:])
	if len(q.waiting[key]) > 0 {
		q.ring = append(q.ring, key)
	}
	return v, true
}

// Remove takes the first of a key that is asked for out of the queue. False: it
// does not wait.
func (q *Queue[T]) Remove(key string, is func(T) bool) bool {
	i := slices.IndexFunc(q.waiting[key], is)
	if i < 0 {
		return false
	}
	q.keep(key, slices.Delete(slices.Clone(q.waiting[key]), i, i+1))
	if len(q.waiting[key]) == 0 {
		at := slices.Index(q.ring, key)
		q.ring = slices.Delete(q.ring, at, at+1)
	}
	return true
}

// keep leaves all but one of a key.
func (q *Queue[T]) keep(key string, rest []T) {
	q.n--
	if len(rest) == 0 {
		delete(q.waiting, key)
		return
	}
	q.waiting[key] = rest
}

// Len counts who waits.
func (q *Queue[T]) Len() int { return q.n }

// Keys counts the keys that somebody waits under.
func (q *Queue[T]) Keys() int { return len(q.ring) }
