// Package later keeps what a request sets off from taking processors from its
// own answer: it is begun when the answer has gone out.
package later

import (
	"context"
	"sync"
)

type key struct{}

// List is what is to be done when an answer has gone out. Safe for concurrent use.
type List struct {
	mu   sync.Mutex
	fns  []func()
	over bool
}

// With gives a context whose Do waits for the list's Run. Who makes it must call
// Run, whatever came of the request.
func With(ctx context.Context) (context.Context, *List) {
	l := &List{}
	return context.WithValue(ctx, key{}, l), l
}

// Do calls f once the answer of the request has gone out; now when it is over,
// or when there is none. f must only wake others, who might look by themselves:
// nobody may wait for it before the answer.
func Do(ctx context.Context, f func()) {
	l, ok := ctx.Value(key{}).(*List)
	if !ok || !l.add(f) {
		f()
	}
}

func (l *List) add(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.fns = append(l.fns, f)
	}
	return !l.over
}

// Waits tells whether there is something to do.
func (l *List) Waits() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fns) > 0
}

// Run does what there is; from here on Do does it at once.
func (l *List) Run() {
	if l == nil {
		return
	}
	l.mu.Lock()
	fns := l.fns
	l.fns, l.over = nil, true
	l.mu.Unlock()
	for _, f := range fns {
		f()
	}
}
