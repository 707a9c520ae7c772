package admission

import (
	"context"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/fault"
)

const (
	// long is how long a request keeps its place: one that takes longer waits for
	// something else than a processor.
	long = 250 * time.Millisecond
	// endure is how long a request waits for a place before it is refused.
	endure = 30 * time.Second
	// spare places are for deletes, of all and of each caller.
	spareAll, spareEach = 4, 2
)

// Turn is one request that was let in. It is used by one goroutine.
type Turn struct {
	gate  *Gate
	who   *caller
	kind  Kind
	place *place
}

// place is what a running request holds.
type place struct {
	since time.Time
	given bool // up, because it took long
}

// pool is a number of places and who waits for them. Under the gate's mu.
type pool struct {
	gate    *Gate
	busy    int
	waiting int
	ring    []*lane // with somebody waiting, in order of service
}

// lane is a caller's part of the pool.
type lane struct {
	who     *caller
	until   time.Time // nobody of the lane begins before
	running []*place
	queue   []*waiter
	urgent  []*waiter // deletes
}

type waiter struct {
	ready chan struct{}
	place *place // once given
}

// Rest gives the place back. Beside others, one who has more to ask gives the
// processor back as well: requests of a flood follow each other without a pause
// that the kernel sees, and it looks for other threads every few milliseconds.
func (t *Turn) Rest() {
	if t.place == nil {
		return
	}
	t.gate.mu.Lock()
	more := t.rest()
	t.gate.mu.Unlock()
	if more {
		t.gate.cfg.GiveWay()
	}
}

// rest tells whether others ask while the caller has more to ask. Under mu.
func (t *Turn) rest() (more bool) {
	p := t.place
	t.place = nil
	if p == nil {
		return false
	}
	now, l := t.gate.cfg.Clock.Now(), &t.who.lane
	more = len(l.queue) > 0 && t.gate.others(t.who, now)
	if !p.given {
		t.gate.work.leave(l, p)
		if more {
			t.gate.work.pause(l, now.Sub(p.since), now)
		}
		t.gate.work.serve(now)
	}
	return more
}

// pause has the next of a lane wait for as long as the last one worked: reading and answering a request costs about as much outside of its place,
// and that is what those others would wait for.
func (p *pool) pause(l *lane, worked time.Duration, now time.Time) {
	if worked <= 0 {
		return
	}
	worked = min(worked, long)
	if end := now.Add(worked); end.After(l.until) {
		l.until = end
	}
	time.AfterFunc(worked, func() {
		p.gate.mu.Lock()
		defer p.gate.mu.Unlock()
		p.serve(p.gate.cfg.Clock.Now())
	})
}

// Leave ends the turn; bytes are what its bodies were long.
func (t *Turn) Leave(bytes int64) {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	t.rest()
	now := g.cfg.Clock.Now()
	if t.who.open--; t.who.open == 0 {
		g.active--
	}
	t.who.at = now
	t.who.bytes.take(g.cfg.Bytes, float64(max(bytes, 0)), now)
}

// Run waits for a place. Rest or Leave gives it back.
func (t *Turn) Run(ctx context.Context) error {
	g := t.gate
	p, l, now := &g.work, &t.who.lane, g.cfg.Clock.Now()
	g.mu.Lock()
	if p.free(l, t.kind == Delete, now) {
		t.place = p.take(l, now)
		g.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	p.wait(l, w, t.kind == Delete)
	g.mu.Unlock()
	return t.await(ctx, w, now)
}

func (t *Turn) await(ctx context.Context, w *waiter, began time.Time) error {
	g, p := t.gate, &t.gate.work
	for {
		var err error
		select {
		case <-w.ready:
			t.place = w.place
			return nil
		case <-ctx.Done():
			err = fault.Unavailablef("The client has left.").Because(ctx.Err())
		case <-g.cfg.Clock.After(long):
		}
		now := g.cfg.Clock.Now()
		g.mu.Lock()
		p.giveUp(now)
		p.serve(now)
		if err == nil && now.Sub(began) > endure {
			err = g.refuse("places")
		}
		if err != nil && w.place == nil {
			p.forget(&t.who.lane, w)
			g.mu.Unlock()
			return err
		}
		g.mu.Unlock()
	}
}

// free tells whether a request of the lane may run at once.
func (p *pool) free(l *lane, urgent bool, now time.Time) bool {
	all, each := p.gate.cfg.Places, p.gate.cfg.Alone
	if p.gate.others(l.who, now) {
		each = p.gate.cfg.Share
	}
	if urgent {
		all, each = all+spareAll, each+spareEach
		return p.busy < all && len(l.running) < each && len(l.urgent) == 0
	}
	return p.busy < all && len(l.running) < each && len(l.queue) == 0 && !now.Before(l.until)
}

func (p *pool) take(l *lane, now time.Time) *place {
	pl := &place{since: now}
	l.running = append(l.running, pl)
	p.busy++
	return pl
}

func (p *pool) leave(l *lane, pl *place) {
	if i := slices.Index(l.running, pl); i >= 0 {
		l.running = slices.Delete(l.running, i, i+1)
		p.busy--
	}
}

func (p *pool) wait(l *lane, w *waiter, urgent bool) {
	if len(l.queue)+len(l.urgent) == 0 {
		p.ring = append(p.ring, l)
	}
	if urgent {
		l.urgent = append(l.urgent, w)
	} else {
		l.queue = append(l.queue, w)
	}
	p.waiting++
}

// serve gives free places to those who wait, one caller after the other.
func (p *pool) serve(now time.Time) {
	for passed := 0; passed < len(p.ring); passed++ {
		l := p.ring[0]
		p.ring = p.ring[1:]
		if p.next(l, now) {
			passed = -1 // all may try again
		}
		if len(l.queue)+len(l.urgent) > 0 {
			p.ring = append(p.ring, l)
		}
	}
}

// next serves one request of a lane if it may run.
func (p *pool) next(l *lane, now time.Time) bool {
	for _, q := range []*[]*waiter{&l.urgent, &l.queue} {
		if len(*q) == 0 {
			continue
		}
		w, rest := (*q)[0], (*q)[1:]
		kept := *q
		*q = nil // free asks whether others wait before
		if !p.free(l, q == &l.urgent, now) {
			*q = kept
			continue
		}
		*q = rest
		p.waiting--
		w.place = p.take(l, now)
		close(w.ready)
		return true
	}
	return false
}

// forget takes somebody out of the queue who waits no longer.
func (p *pool) forget(l *lane, w *waiter) {
	same := func(x *waiter) bool { return x == w }
	before := len(l.queue) + len(l.urgent)
	l.queue, l.urgent = slices.DeleteFunc(l.queue, same), slices.DeleteFunc(l.urgent, same)
	after := len(l.queue) + len(l.urgent)
	p.waiting -= before - after
	if after == 0 {
		p.ring = slices.DeleteFunc(p.ring, func(x *lane) bool { return x == l })
	}
}

// giveUp frees the places of those who have had them for long: of callers that
// wait themselves, and of all when there is no place left for anybody.
func (p *pool) giveUp(now time.Time) {
	old := func(l *lane) {
		for _, pl := range slices.Clone(l.running) {
			if now.Sub(pl.since) >= long {
				pl.given = true
				p.leave(l, pl)
			}
		}
	}
	for _, l := range p.ring {
		old(l)
	}
	if p.busy < p.gate.cfg.Places {
		return
	}
	for _, c := range p.gate.callers {
		old(&c.lane)
	}
}
