package guests

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// jobLimit ends a job that goes on for ever. Fetching a large image over a slow
// line is the longest there is; the next attempt starts it over.
const jobLimit = time.Hour

// A guest in quarantine has so many seconds to obey its power button, and a
// host that cannot switch it off tries again after a pause.
const (
	quarantineStop  = 60
	quarantinePause = 2 * time.Second
)

// removal is the text of a job that removes a guest.
const removal = ""

// job is what is being done to one guest, or was done last.
type job struct {
	text   string // the Spec's canonical JSON, or removal
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended; the fields below are then set

	result hostlink.ObjectReport
	retry  error // not nil: it may work later
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// start begins a job in place of the guest's last one, which it ends and waits
// for. Under mu.
func (a *Applier) start(id, text string, run func(context.Context) hostlink.ObjectReport) *job {
	ctx, cancel := context.WithTimeout(a.ctx, jobLimit)
	j := &job{text: text, cancel: cancel, done: make(chan struct{})}
	last := a.jobs[id]
	a.jobs[id] = j
	places := a.ensures
	if text == removal {
		places = a.destroys
	}
	a.work.Go(func() {
		defer cancel()
		if last != nil {
			last.cancel()
			<-last.done
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
		}
		a.finish(id, j, run(ctx))
	})
	return j
}

// finish ends a job and reports it, unless there is a newer one.
func (a *Applier) finish(id string, j *job, result hostlink.ObjectReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer close(j.done) // after the report: who waits may rely on it
	j.result = result
	if result.Phase == hostlink.Pending {
		j.retry = fault.Unavailablef("guest %s is not as it should be: %s", id, result.Error)
	}
	if a.jobs[id] != j {
		return
	}
	if result.Phase == hostlink.Absent {
		delete(a.jobs, id)
	}
	if a.ctx.Err() == nil {
		a.report(result)
	}
}

// ensure makes one guest as its Spec says.
func (a *Applier) ensure(ctx context.Context, spec guest.Spec) hostlink.ObjectReport {
	if a.up != nil {
		ctx = guest.WithLeave(ctx, func(ctx context.Context) error { return a.leave(ctx, spec.ID) })
	}
	facts, err := a.driver.Ensure(ctx, spec)
	o := hostlink.ObjectReport{ID: spec.ID, Phase: hostlink.Ready, Facts: encode(facts)}
	if err == nil {
		return o
	}
	o.Phase, o.Error = a.judge(ctx, spec.ID, "make", err)
	return o
}

// leaveLimit is how long an answer may take before the question is put again.
const leaveLimit = 10 * time.Second

// leave asks whether a guest may run here. No is never for ever: the server may
// have meant somebody else a moment ago, and takes away what it does not want.
func (a *Applier) leave(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, leaveLimit)
	defer cancel()
	if err := a.up.Tell(ctx, hostlink.Guests, id, hostlink.VerbStart, struct{}{}); err != nil {
		return fault.Unavailablef("the server was not asked yet whether the guest may start").Because(err)
	}
	return nil
}

// destroy removes one guest. That never fails for good.
func (a *Applier) destroy(ctx context.Context, id string) hostlink.ObjectReport {
	err := a.driver.Destroy(ctx, id)
	if err == nil {
		return hostlink.ObjectReport{ID: id, Phase: hostlink.Absent}
	}
	_, text := a.judge(ctx, id, "remove", err)
	return hostlink.ObjectReport{ID: id, Phase: hostlink.Pending, Error: text}
}

// judge decides what an error means and what users may know of it.
func (a *Applier) judge(ctx context.Context, id, doing string, err error) (hostlink.Phase, string) {
	if ctx.Err() != nil {
		return hostlink.Pending, "it was interrupted"
	}
	a.log.WarnContext(ctx, "cannot "+doing+" a guest", "guest", id, "error", err)
	f := fault.As(err)
	text := f.Text
	if text == "" {
		text = "the host failed to " + doing + " the server"
	}
	if f.Kind == fault.Unavailable {
		return hostlink.Pending, text
	}
	return hostlink.Failed, text
}
