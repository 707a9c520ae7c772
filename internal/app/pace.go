package app

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/admission"
	"github.com/mekcloud/mek/internal/pace"
)

const (
	// freely is how much of a body passes without asking: small ones go beside large ones.
	freely = 256 << 10
	// pieceSize is how much of a large body is moved in one turn.
	pieceSize = 256 << 10
	// longestTurn is how long a piece of a body has its place. One that takes
	// longer waits for its client, not for a processor.
	longestTurn = 3 * time.Millisecond
	// longestWait is how long a piece waits for its turn. Who is in its place may
	// wait for something else, even for another server that waits for this one.
	longestWait = 50 * time.Millisecond
	// longestDisk is how long a piece waits for a disk: it may be another's disk
	// that does not answer.
	longestDisk = time.Second
)

// traffic is the way of large bodies through the machine. While several callers
// ask, one processor is left without such work, one flush at a time is under
// way, and the pieces of callers go in turns.
type traffic struct {
	crowded func() bool
	work    *admission.Line
	disk    *admission.Line
}

func newTraffic(crowded func() bool, processors int) *traffic {
	return &traffic{crowded, admission.NewLine(func() int { return max(1, processors-1) }), admission.NewLine(func() int { return 1 })}
}

// widen has twice as many goroutines run at once as there are processors. A piece
// of a body, or a call that writes one, keeps its place while it lasts; as long as
// a place is free, what comes from the network is seen at once, and the kernel,
// which knows who has worked how long, decides who gets a processor. To be called
// once everything is built that counts processors.
func widen() { runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0)) }

// flow is one request's large body: pace.Flow.
type flow struct {
	*traffic
	ctx   context.Context
	who   string
	moved int64 // bytes
	left  int64 // of the present piece; used by one goroutine, as moved

	mu    sync.Mutex
	leave func() // gives the present piece's place back
}

func (t *turnstile) flow(ctx context.Context) *flow {
	return &flow{traffic: t.traffic, ctx: ctx, who: t.caller, left: freely}
}

func (f *flow) Crowded() bool { return f.crowded() }

func (f *flow) enter(l *admission.Line, patience time.Duration) (leave func()) {
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	leave, err := l.Enter(ctx, f.who)
	if err != nil {
		return func() {} // it goes on without
	}
	return leave
}

func (f *flow) Work(fn func()) {
	if f.crowded() {
		defer f.enter(f.work, longestWait)()
		defer pace.GiveWay()
	}
	fn()
}

func (f *flow) Disk(fn func() error) error {
	if f.crowded() {
		defer f.enter(f.disk, longestDisk)()
	}
	return fn()
}

func (f *flow) Rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leave != nil {
		f.leave()
		f.leave = nil
	}
}

// step counts bytes that are moved. At the end of a piece it waits for the turn
// of the next.
func (f *flow) step(n int64) {
	f.moved += n
	if f.left -= n; f.left > 0 {
		return
	}
	f.left = pieceSize
	f.Rest()
	if !f.crowded() {
		return
	}
	pace.GiveWay()
	leave := f.turn()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leave = leave
}

// turn waits for a place, which is given back after a while: who has had it for so
// long waits for something else than a processor.
func (f *flow) turn() (leave func()) {
	giveBack := sync.OnceFunc(f.enter(f.work, longestWait))
	end := time.AfterFunc(longestTurn, giveBack)
	return func() {
		end.Stop()
		giveBack()
	}
}

// step is the turn of a saga's step, in turn with pieces of bodies: a project that
// has many sagas at work has them one after the other while others ask.
func (t *traffic) step(ctx context.Context, project string) (leave func()) {
	if !t.crowded() {
		return func() {}
	}
	giveBack := (&flow{traffic: t, ctx: ctx, who: project}).turn()
	return func() {
		giveBack()
		pace.GiveWay()
	}
}

// paced is a large body that is read piece by piece.
type paced struct {
	io.ReadCloser
	flow *flow
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.flow.step(int64(n))
	return n, err
}

func (p *paced) Close() error {
	p.flow.Rest()
	return p.ReadCloser.Close()
}

// Pace has a body wait for its turn, piece by piece. release must be called when it is not read any more.
func (t *turnstile) Pace(ctx context.Context, body io.ReadCloser) (within context.Context, pacedBody io.ReadCloser, release func()) {
	f := t.flow(ctx)
	if body != nil && body != http.NoBody {
		body = &paced{body, f}
	}
	return pace.With(ctx, f), body, f.Rest
}

// answer is a large answer that is written piece by piece.
type answer struct {
	http.ResponseWriter
	flow *flow
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) Write(b []byte) (total int, err error) {
	for len(b) > 0 && err == nil {
		n := min(len(b), pieceSize)
		n, err = a.ResponseWriter.Write(b[:n])
		a.flow.step(int64(n))
		total, b = total+n, b[n:]
	}
	return total, err
}

// ReadFrom passes pieces on to the connection: a part of a file that goes to a
// plain one is moved by the kernel.
func (a *answer) ReadFrom(r io.Reader) (total int64, err error) {
	within := &io.LimitedReader{R: r, N: 1<<63 - 1}
	if l, ok := r.(*io.LimitedReader); ok {
		within = l // the kernel wants the file below one limit, not below two
	}
	for within.N > 0 && err == nil {
		piece := &io.LimitedReader{R: within.R, N: min(within.N, pieceSize)}
		want := piece.N
		n, problem := io.Copy(a.ResponseWriter, piece)
		total, within.N, err = total+n, within.N-n, problem
		a.flow.step(n)
		if n < want {
			break // the end
		}
	}
	return total, err
}

// Send has an answer wait for its turn, piece by piece. release must be called when it was sent.
func (t *turnstile) Send(ctx context.Context, w http.ResponseWriter) (pacedAnswer http.ResponseWriter, release func()) {
	f := t.flow(ctx)
	return &answer{w, f}, f.Rest
}
