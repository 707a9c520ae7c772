package faulty

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Plan says how often something goes wrong, each between 0 and 1, and draws by
// its seed. Safe for concurrent use; the order of draws is that of the calls.
type Plan struct {
	Lose     float64       // never delivered
	LoseBack float64       // delivered, the answer is lost
	Repeat   float64       // delivered twice
	Late     float64       // documents, reports and messages: delivered once more, after others
	Delay    time.Duration // each delivery waits up to this long
	Silent   bool          // who lost something learns it when its own patience ends

	mu     sync.Mutex
	state  uint64
	counts map[string]int
	late   sync.WaitGroup
}

// latest is how long after the first a late delivery comes at most, and
// patience how long somebody without a deadline waits for an answer.
const (
	latest   = 10 * time.Second
	patience = 30 * time.Second
)

// NewPlan makes a plan that does nothing yet, drawing by seed.
func NewPlan(seed uint64) *Plan {
	return &Plan{state: seed, counts: map[string]int{}}
}

// Change alters a plan that is in use.
func (p *Plan) Change(f func(p *Plan)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// Counts tells how often what went wrong.
func (p *Plan) Counts() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Wait waits for deliveries that are late.
func (p *Plan) Wait() { p.late.Wait() }

type fate struct {
	lose, loseBack, repeat, silent bool
	wait                           time.Duration
}

// next is SplitMix64: package id's source cannot be seeded. The caller holds mu.
func (p *Plan) next() uint64 {
	p.state += 0x9e3779b97f4a7c15
	z := p.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance draws with a probability. The caller holds mu.
func (p *Plan) chance(of float64) bool { return float64(p.next()>>11)/(1<<53) < of }

func (p *Plan) draw() fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := fate{lose: p.chance(p.Lose), loseBack: p.chance(p.LoseBack), repeat: p.chance(p.Repeat), silent: p.Silent}
	if p.Delay > 0 {
		f.wait = time.Duration(p.next() % uint64(p.Delay))
	}
	for kind, happens := range map[string]bool{"lost": f.lose, "answer lost": f.loseBack && !f.lose, "repeated": f.repeat && !f.lose, "delayed": f.wait > 0} {
		if happens {
			p.counts[kind]++
		}
	}
	return f
}

// lost is what somebody learns whose message or answer is gone.
func (f fate) lost(ctx context.Context) error {
	if f.silent {
		t := time.NewTimer(patience)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	return fault.Unavailablef("no answer")
}

// pass delivers by the plan. Losses are Unavailable: the outcome is unknown.
func (p *Plan) pass(ctx context.Context, deliver func() error) error {
	f := p.draw()
	if f.wait > 0 {
		t := time.NewTimer(f.wait)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return fault.Unavailablef("no answer").Because(ctx.Err())
		case <-t.C:
		}
	}
	if f.lose {
		return f.lost(ctx)
	}
	if f.repeat {
		_ = deliver() // the second delivery's answer is the one that arrives
	}
	err := deliver()
	if f.loseBack {
		return f.lost(ctx)
	}
	return err
}

// Pass delivers something else by the plan, such as a hello or a beat.
func (p *Plan) Pass(ctx context.Context, deliver func() error) error { return p.pass(ctx, deliver) }

// passLate is pass, and by the plan one more delivery some time later.
func (p *Plan) passLate(ctx context.Context, deliver func(ctx context.Context) error) error {
	var again time.Duration
	p.mu.Lock()
	if p.Late > 0 && p.chance(p.Late) {
		again = 1 + time.Duration(p.next()%uint64(latest))
		p.counts["late"]++
	}
	p.mu.Unlock()
	if again > 0 {
		p.late.Go(func() {
			t := time.NewTimer(again)
			defer t.Stop()
			<-t.C
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			_ = deliver(ctx) // nobody waits for its answer
		})
	}
	return p.pass(ctx, func() error { return deliver(ctx) })
}

// Endpoint wraps the way to an agent.
func Endpoint(to hostlink.Endpoint, p *Plan) hostlink.Endpoint { return endpoint{to, p} }

type endpoint struct {
	to   hostlink.Endpoint
	plan *Plan
}

func (e endpoint) Accept(ctx context.Context, doc hostlink.Document) error {
	return e.plan.passLate(ctx, func(ctx context.Context) error { return e.to.Accept(ctx, doc) })
}

func (e endpoint) Amend(ctx context.Context, delta hostlink.Delta) error {
	return e.plan.passLate(ctx, func(ctx context.Context) error { return e.to.Amend(ctx, delta) })
}

func (e endpoint) Command(ctx context.Context, cmd hostlink.Command) (out json.RawMessage, err error) {
	err = e.plan.pass(ctx, func() error {
		var err error
		out, err = e.to.Command(ctx, cmd)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (e endpoint) Forget(ctx context.Context, token string) error {
	return e.plan.pass(ctx, func() error { return e.to.Forget(ctx, token) })
}

// Stream is lost before it is opened, or not at all: bytes come whole or end with an error.
func (e endpoint) Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	if e.plan.draw().lose {
		return nil, fault.Unavailablef("no answer")
	}
	return e.to.Stream(ctx, kind, params)
}

// Uplink wraps the way to the server.
func Uplink(to hostlink.Uplink, p *Plan) hostlink.Uplink { return uplink{to, p} }

type uplink struct {
	hostlink.Uplink
	plan *Plan
}

func (u uplink) Report(ctx context.Context, r hostlink.Report) error {
	return u.plan.passLate(ctx, func(ctx context.Context) error { return u.Uplink.Report(ctx, r) })
}

func (u uplink) Tell(ctx context.Context, s hostlink.Section, object, verb string, params any) error {
	return u.plan.passLate(ctx, func(ctx context.Context) error { return u.Uplink.Tell(ctx, s, object, verb, params) })
}

func (u uplink) Open(ctx context.Context, kind string, params any) (io.ReadWriteCloser, error) {
	if u.plan.draw().lose {
		return nil, fault.Unavailablef("no answer")
	}
	return u.Uplink.Open(ctx, kind, params)
}
