// Package memo remembers what functions give that depend on nothing but their
// argument: sync.OnceValue for functions with one.
package memo

import "sync"

// Of is f, called once for each argument, or a few times by goroutines that ask
// at the same moment. Nothing is ever forgotten: arguments have to be few, such
// as the types of a program. Safe for concurrent use if f is.
func Of[K comparable, V any](f func(K) V) func(K) V {
	var known sync.Map
	return func(k K) V {
		if v, ok := known.Load(k); ok {
			return v.(V)
		}
		v, _ := known.LoadOrStore(k, f(k))
		return v.(V)
	}
}
