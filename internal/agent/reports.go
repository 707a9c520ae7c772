package agent

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/hostlink"
)

// The times of reporting: how long the server may take, and the pause after a
// report that it did not take.
const (
	reportTimeout = 15 * time.Second
	reportPause   = time.Second
)

// changed notes that a section has something to report. It never blocks.
func (a *Agent) changed(s hostlink.Section) {
	a.mu.Lock()
	a.dirty[s] = true
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// sendReports sends the reports of changed sections until ctx ends. Changes
// that come while one is on its way are told together by the next.
func (a *Agent) sendReports(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		}
		for _, name := range a.takeDirty() {
			if a.send(ctx, name) {
				continue
			}
			a.mu.Lock()
			a.dirty[name] = true
			a.mu.Unlock()
			a.later(ctx)
		}
	}
}

// takeDirty empties the list of changed sections, unless there is nobody to tell.
func (a *Agent) takeDirty() []hostlink.Section {
	if _, err := a.cfg.Relay.Current(); err != nil {
		return nil // Bind marks everything
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []hostlink.Section
	for _, name := range a.order {
		if a.dirty[name] {
			list = append(list, name)
			delete(a.dirty, name)
		}
	}
	return list
}

func (a *Agent) send(ctx context.Context, name hostlink.Section) bool {
	up, err := a.cfg.Relay.Current()
	if err != nil {
		return true // Bind marks everything
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if err := up.Report(ctx, a.reportOf(name)); err != nil {
		a.cfg.Log.Debug("report not taken; repeating", "section", name, "error", err)
		return false
	}
	return true
}

// later wakes the sender after a pause.
func (a *Agent) later(ctx context.Context) {
	timer := a.cfg.Clock.After(reportPause)
	a.spawn(func() {
		select {
		case <-ctx.Done():
		case <-timer:
			select {
			case a.wake <- struct{}{}:
			default:
			}
		}
	})
}

// reportOf is a section's report with the next sequence.
func (a *Agent) reportOf(name hostlink.Section) hostlink.Report {
	a.mu.Lock()
	a.sequence++
	n := a.sequence
	a.mu.Unlock()
	r := a.sections[name].summary()
	r.Host, r.Sequence = a.cfg.Facts.Host, n
	return r
}
