package scale

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The steady load: what is asked for in each second, and for how long. It is about
// half of what two processors can do at a million servers.
const (
	steadyCreates, steadyShows, steadyPages = 200, 200, 40
	steadyFor                               = 20 * time.Second
)

// steady asks at a pace that can be held: how long people wait in a cloud that
// has much to do, but not more than it can.
func (f *field) steady(ctx context.Context) {
	f.t.Helper()
	get := func(path func(i int) string) func(i int) error {
		return func(i int) error {
			_, _, err := f.a.ask(ctx, "GET", path(i), nil)
			return err
		}
	}
	before := f.active()
	creates, shows, pages := &paced{rate: steadyCreates}, &paced{rate: steadyShows}, &paced{rate: steadyPages}
	var all sync.WaitGroup
	all.Go(func() {
		creates.run(func(i int) error {
			_, _, err := f.create(ctx, i%perNetwork, 1)
			return err
		})
	})
	all.Go(func() { shows.run(get(f.showPath)) })
	all.Go(func() { pages.run(get(f.pagePath)) })
	all.Wait()
	f.await(before + len(creates.times))
	f.failed(creates.errs, shows.errs, pages.errs)
	how := fmt.Sprintf("%s; %d creates, %d shows and %d pages of 100 with details asked for in each second, at fixed times", f.about, steadyCreates, steadyShows, steadyPages)
	note(f.t, p99("show", shows.sorted(), len(shows.errs), how), p99("list", pages.sorted(), len(pages.errs), how), p99("create", creates.sorted(), len(creates.errs), how))
}

// paced is requests that begin at fixed times, whether those before them are
// answered or not. What they take counts from these times on, so that a server
// that stands still is late for all of them.
type paced struct {
	rate int // in a second

	mu    sync.Mutex
	times []float64 // milliseconds
	errs  []error
}

func (p *paced) run(do func(i int) error) {
	var all sync.WaitGroup
	begun := time.Now()
	for i := range p.rate * int(steadyFor/time.Second) {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(p.rate))
		time.Sleep(time.Until(due))
		all.Go(func() {
			err := do(i)
			took := time.Since(due).Seconds() * 1000
			p.mu.Lock()
			defer p.mu.Unlock()
			if err != nil {
				p.errs = append(p.errs, err)
			} else {
				p.times = append(p.times, took)
			}
		})
	}
	all.Wait()
}

func (p *paced) sorted() []float64 { return slices.Sorted(slices.Values(p.times)) }
