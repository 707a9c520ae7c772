package servers

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// front is a load balancer of connections: round robin over the servers whose
// /healthz answers, and over all of them while none does.
type front struct {
	l     net.Listener
	doors []string

	mu      sync.Mutex
	healthy []bool
	next    int
}

func newFront(t *testing.T, doors []string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{l: l, doors: doors, healthy: make([]bool, len(doors))}
	done := make(chan struct{})
	var work sync.WaitGroup
	for i := range doors {
		f.healthy[i] = true
		work.Go(func() { f.watch(i, done) })
	}
	go f.accept()
	t.Cleanup(func() { close(done); _ = l.Close(); work.Wait() })
	return f
}

func (f *front) url() string { return "http://" + f.l.Addr().String() }

func (f *front) watch(i int, done chan struct{}) {
	c := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case <-done:
			return
		case <-time.After(250 * time.Millisecond):
		}
		r, err := c.Get("http://" + f.doors[i] + "/healthz")
		ok := err == nil && r.StatusCode == http.StatusOK
		if err == nil {
			_ = r.Body.Close() // read or not
		}
		f.mark(i, ok)
	}
}

func (f *front) mark(i int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healthy[i] = ok
}

// order is in which order the servers are tried.
func (f *front) order() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	var good, bad []int
	for n := range f.doors {
		i := (f.next + n) % len(f.doors)
		if f.healthy[i] {
			good = append(good, i)
		} else {
			bad = append(bad, i)
		}
	}
	return append(good, bad...)
}

func (f *front) accept() {
	for {
		in, err := f.l.Accept()
		if err != nil {
			return
		}
		go f.serve(in)
	}
}

func (f *front) serve(in net.Conn) {
	for _, i := range f.order() {
		out, err := net.DialTimeout("tcp", f.doors[i], time.Second)
		if err != nil {
			f.mark(i, false)
			continue
		}
		join(in, out)
		return
	}
	_ = in.Close() // nobody is there
}

// join carries bytes both ways until one side ends.
func join(a, b net.Conn) {
	var once sync.Once
	end := func() { once.Do(func() { _ = a.Close(); _ = b.Close() }) }
	go func() { defer end(); _, _ = io.Copy(a, b) }() // either end is an end
	defer end()
	_, _ = io.Copy(b, a)
}

// proxy is a way to one address that can be cut.
type proxy struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(in)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); p.set(true) })
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

func (p *proxy) serve(in net.Conn) {
	out, err := net.DialTimeout("tcp", p.to, time.Second)
	p.mu.Lock()
	if err != nil || p.cut {
		p.mu.Unlock()
		_ = in.Close()
		if err == nil {
			_ = out.Close()
		}
		return
	}
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	join(in, out)
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

// set cuts the way with everything on it, or opens it again.
func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for c := range p.conns {
			_ = c.Close() // both ends see it
		}
	}
}
