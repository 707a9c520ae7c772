// Package beside does parts of one request side by side, on more than one
// processor. A part that panics is an error: without that it would take the
// whole process with it, since nobody above it on its goroutine catches it.
//
// golang.org/x/sync/errgroup does the same but for panics.
package beside

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Do does all parts, the last of them on the caller's goroutine. It returns
// when all have ended, with their errors.
func Do(parts ...func() error) error {
	fails := make([]error, len(parts))
	last := len(parts) - 1
	var wg sync.WaitGroup
	for i, part := range parts[:last] {
		wg.Go(func() { fails[i] = contain(part) })
	}
	fails[last] = contain(parts[last])
	wg.Wait()
	return errors.Join(fails...)
}

func contain(part func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return part()
}
