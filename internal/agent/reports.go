package agent

import (
	"context"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// The times of reporting: how long the server may take, and the pause after a
// report that it did not take.
const (
	reportTimeout = 15 * time.Second
	reportPause   = time.Second
)

// server is one connected server and what is still to be told to it. Each has
// a sender of its own, so that one that hangs delays no other.
type server struct {
	up   hostlink.Uplink
	wake chan struct{}
	gone chan struct{} // closed when it is taken away
	once sync.Once

	taken map[hostlink.Section]taken // its sender's own

	mu    sync.Mutex
	dirty map[hostlink.Section]bool
}

func newServer(up hostlink.Uplink, all []hostlink.Section) *server {
	s := &server{up: up, wake: make(chan struct{}, 1), gone: make(chan struct{}), taken: map[hostlink.Section]taken{}, dirty: map[hostlink.Section]bool{}}
	for _, name := range all {
		s.changed(name)
	}
	return s
}

func (s *server) leave() { s.once.Do(func() { close(s.gone) }) }

// changed notes that a section has something to report. It never blocks.
func (s *server) changed(name hostlink.Section) {
	s.mu.Lock()
	s.dirty[name] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// takeDirty empties the list of changed sections.
func (s *server) takeDirty(order []hostlink.Section) []hostlink.Section {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []hostlink.Section
	for _, name := range order {
		if s.dirty[name] {
			list = append(list, name)
			delete(s.dirty, name)
		}
	}
	return list
}

// changed notes that every server is to be told of a section.
func (a *Agent) changed(name hostlink.Section) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.servers {
		s.changed(name)
	}
}

// report begins to send to a server. The caller holds mu.
func (a *Agent) report(life context.Context, s *server) {
	ctx, cancel := context.WithCancel(life)
	a.spawn(func() {
		defer cancel()
		a.sendReports(ctx, s)
	})
	a.spawn(func() {
		select {
		case <-s.gone:
			cancel()
		case <-ctx.Done():
		}
	})
}

// sendReports sends the reports of changed sections until ctx ends. Changes
// that come while one is on its way are told together by the next.
func (a *Agent) sendReports(ctx context.Context, s *server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for _, name := range s.takeDirty(a.order) {
			if a.send(ctx, s, name) {
				continue
			}
			a.later(ctx, s, name)
		}
	}
}

// later has a section told again after a pause.
func (a *Agent) later(ctx context.Context, s *server, name hostlink.Section) {
	timer := a.cfg.Clock.After(reportPause)
	a.spawn(func() {
		select {
		case <-ctx.Done():
		case <-timer:
			s.changed(name)
		}
	})
}

// send tells a server of a section: what changed since it was told last, or the whole.
func (a *Agent) send(ctx context.Context, s *server, name hostlink.Section) bool {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	var since taken
	if s.up.Deltas() {
		since = s.taken[name]
	}
	r, next := a.reportOf(name, since)
	err := s.up.Report(ctx, r)
	if r.Since > 0 && fault.As(err).Code == hostlink.WholeWanted {
		r, next = a.reportOf(name, taken{})
		err = s.up.Report(ctx, r)
	}
	if err != nil {
		a.cfg.Log.Debug("report not taken; repeating", "section", name, "error", err)
		return false
	}
	next.sequence = r.Sequence
	s.taken[name] = next
	return true
}

// reportOf is a section's report with the next sequence.
func (a *Agent) reportOf(name hostlink.Section, since taken) (hostlink.Report, taken) {
	a.mu.Lock()
	a.sequence++
	n := a.sequence
	a.mu.Unlock()
	r, next := a.sections[name].summary(since)
	r.Host, r.Sequence = a.cfg.Facts.Host, n
	return r, next
}
