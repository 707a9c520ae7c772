package http1

import (
	"errors"
	"os"
	"sync"
	"time"
)

// ahead reads the first byte behind a request that takes long: the client may
// have left, for whom nothing more is to be done.
//
// Its timer is left to run from one request to the next, since each change of a
// timer may wake a thread.
type ahead struct {
	conn *conn

	mu      sync.Mutex
	timer   *time.Timer
	running bool   // the timer is
	since   uint64 // which request was worked on when it began
	request uint64 // counts them
	leave   func() // of the one that is worked on; nil: none is

	reading chan struct{} // closed once a look is over
	got     [1]byte
	n       int
	err     error
}

func (a *ahead) begin(leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.request++
	a.leave = leave
	if !a.running {
		a.run()
	}
}

// run begins to wait. Under mu.
func (a *ahead) run() {
	a.running, a.since = true, a.request
	if a.timer == nil {
		a.timer = time.AfterFunc(long, a.passed)
	} else {
		a.timer.Reset(long)
	}
}

// passed is called when some time is over.
func (a *ahead) passed() {
	a.mu.Lock()
	a.running = false
	leave, done := a.leave, make(chan struct{})
	switch {
	case leave == nil:
		a.mu.Unlock()
		return
	case a.request != a.since:
		a.run() // for another one than that which is worked on
		a.mu.Unlock()
		return
	}
	a.running, a.reading = true, done           // until the request's end
	a.err = a.conn.SetReadDeadline(time.Time{}) // before end can set another
	a.mu.Unlock()
	a.look(leave)
	close(done)
}

func (a *ahead) look(leave func()) {
	if a.err == nil {
		a.n, a.err = a.conn.Conn.Read(a.got[:])
	}
	if a.n == 0 && !errors.Is(a.err, os.ErrDeadlineExceeded) {
		leave()
	}
}

// end stops the reading, and keeps what was read. False: the connection is gone.
func (a *ahead) end() bool {
	a.mu.Lock()
	a.leave = nil
	reading := a.reading
	a.mu.Unlock()
	if reading == nil {
		return true
	}
	_ = a.conn.SetReadDeadline(time.Unix(1, 0)) // wakes it, or the connection is gone and it is awake
	<-reading
	a.mu.Lock()
	a.reading, a.running = nil, false
	a.mu.Unlock()
	a.conn.until = time.Time{}
	if a.n > 0 {
		a.n = 0
		a.conn.buffer = append(a.conn.buffer, a.got[0])
		return true
	}
	return a.err == nil || errors.Is(a.err, os.ErrDeadlineExceeded)
}

// stop ends the timer with the connection.
func (a *ahead) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}
