package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/admission"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

// look is how often it is asked whether those who send and receive bodies may still.
const look = 400 * time.Millisecond

// bodies are requests with bodies that may take long: each is cut within a
// second of what ends the credentials it was let in with.
type bodies struct {
	clock clock.Clock

	mu   sync.Mutex
	open map[*turnstile]transfer
}

type transfer struct {
	w     http.ResponseWriter
	still func(ctx context.Context) error
	since time.Time
}

// turnstile is a turn whose request is watched.
type turnstile struct {
	*admission.Turn
	transfers *bodies
	watched   bool
	traffic   *traffic
	caller    string
}

// Watch has the request cut once still says Unauthenticated or Forbidden.
func (t *turnstile) Watch(w http.ResponseWriter, still func(ctx context.Context) error) {
	t.watched = true
	t.transfers.mu.Lock()
	defer t.transfers.mu.Unlock()
	t.transfers.open[t] = transfer{w, still, t.transfers.clock.Now()}
}

// Leave ends the turn.
func (t *turnstile) Leave(bytes int64) {
	if t.watched {
		t.transfers.mu.Lock()
		delete(t.transfers.open, t)
		t.transfers.mu.Unlock()
	}
	t.Turn.Leave(bytes)
}

// run looks after them until ctx ends.
func (t *bodies) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.clock.After(look):
		}
		for turn, x := range t.lasting() {
			if err := x.still(ctx); fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
				t.cut(turn)
			}
		}
	}
}

// lasting are those that take longer than a look.
func (t *bodies) lasting() map[*turnstile]transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, old := t.clock.Now(), map[*turnstile]transfer{}
	for turn, x := range t.open {
		if now.Sub(x.since) >= look {
			old[turn] = x
		}
	}
	return old
}

// cut ends a request's connection, if it is still under way: its writer may not
// be touched any more once it has left.
func (t *bodies) cut(turn *turnstile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.open[turn]
	if !ok {
		return
	}
	control := http.NewResponseController(x.w)
	_ = control.SetWriteDeadline(longAgo()) // fails without a connection, inside of this process: nothing is to be cut
	_ = control.SetReadDeadline(longAgo())  // as above
}

// longAgo is a time by which nothing can be done any more.
func longAgo() time.Time { return time.Unix(1, 0) }
