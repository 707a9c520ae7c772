package app

import (
	"context"
	"io"
	"time"

	"github.com/mekcloud/mek/internal/admission"
)

const (
	// freely is how much of a body is taken without asking: small ones pass beside large ones.
	freely = 256 << 10
	// longestPiece is how long a piece waits at most. Who is in its place may wait
	// for something else, even for another server that waits for this one.
	longestPiece = 50 * time.Millisecond
)

// paced is a large body of which each piece that was read, until the next is
// asked for, has a place: reading, hashing and storing a piece keeps a processor
// busy. While several callers ask, one processor is left without such work, and
// the pieces of callers go in turns.
type paced struct {
	io.ReadCloser
	ctx   context.Context
	line  *admission.Line
	who   string
	taken int64
	leave func()
}

func (p *paced) Read(b []byte) (int, error) {
	p.rest()
	n, err := p.ReadCloser.Read(b)
	if p.taken += int64(n); err != nil || p.taken < freely {
		return n, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, longestPiece)
	defer cancel()
	if leave, err := p.line.Enter(ctx, p.who); err == nil {
		p.leave = leave
	}
	return n, nil
}

func (p *paced) Close() error {
	p.rest()
	return p.ReadCloser.Close()
}

func (p *paced) rest() {
	if p.leave != nil {
		p.leave()
		p.leave = nil
	}
}

// Pace has a body wait for its turn, piece by piece. release must be called when it is not read any more.
func (t *turnstile) Pace(ctx context.Context, body io.ReadCloser) (pacedBody io.ReadCloser, release func()) {
	p := &paced{ReadCloser: body, ctx: ctx, line: t.pieces, who: t.caller}
	return p, p.rest
}
