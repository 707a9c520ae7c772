package volumes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// The limits of the applier: how many volumes are filled at once, and the
// pauses between attempts at one that may work later.
const (
	copiers    = 2
	firstPause = time.Second
	lastPause  = time.Minute
	lookAgain  = 5 * time.Second // whether the disk of a lost volume is back
)

// Applier keeps the volumes of one host. Close ends its work.
type Applier struct {
	driver disk.Driver
	clock  clock.Clock
	log    *slog.Logger
	life   context.Context
	stop   context.CancelFunc
	work   sync.WaitGroup
	slots  chan struct{} // taken while a volume is filled from a source

	mu     sync.Mutex
	jobs   map[string]*job
	report func(...hostlink.ObjectReport)
}

// job is one volume on its way to its spec, or arrived.
type job struct {
	spec disk.Spec
	stop context.CancelFunc
	done chan struct{}         // closed when it has arrived, or cannot for now
	over chan struct{}         // closed when nothing is done for it any more
	last hostlink.ObjectReport // guarded by Applier.mu
}

var _ hostlink.Applier = (*Applier)(nil)

// New makes an applier over a driver.
func New(driver disk.Driver, c clock.Clock, log *slog.Logger) *Applier {
	life, stop := context.WithCancel(context.Background())
	return &Applier{driver: driver, clock: c, log: log, life: life, stop: stop, slots: make(chan struct{}, copiers),
		jobs: map[string]*job{}, report: func(...hostlink.ObjectReport) {}}
}

// Close stops all work and waits for it. Volumes half made are begun again by the next agent.
func (a *Applier) Close() {
	a.stop()
	a.work.Wait()
}

// Apply starts and stops work as the document says, and waits for it.
func (a *Applier) Apply(ctx context.Context, doc hostlink.Document, report func(...hostlink.ObjectReport)) error {
	var body disk.Document
	if err := json.Unmarshal(doc.Body, &body); err != nil {
		return fmt.Errorf("document of volumes: %w", err)
	}
	want := make(map[string]disk.Spec, len(body.Volumes))
	for _, s := range body.Volumes {
		want[s.ID] = s
	}
	a.mu.Lock()
	a.report = report
	a.mu.Unlock()
	if err := a.drop(ctx, want, doc.Kept, report); err != nil {
		return err
	}
	for _, s := range body.Volumes {
		if err := a.start(ctx, s, report); err != nil {
			return err
		}
	}
	return a.wait(ctx)
}

// drop removes what the document does not name and nobody keeps.
func (a *Applier) drop(ctx context.Context, want map[string]disk.Spec, kept map[string]hostlink.Kept, report func(...hostlink.ObjectReport)) error {
	list, err := a.driver.List(ctx)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, f := range list {
		if _, ok := want[f.ID]; !ok {
			gone[f.ID] = true
		}
	}
	a.mu.Lock()
	for id := range a.jobs {
		if _, ok := want[id]; !ok {
			gone[id] = true
		}
	}
	a.mu.Unlock()
	maps.DeleteFunc(gone, func(id string, _ bool) bool { _, keep := kept[id]; return keep })
	for id := range gone {
		if err := a.end(ctx, id); err != nil {
			return err
		}
		if err := a.driver.Destroy(ctx, id); err != nil {
			return err
		}
		report(hostlink.ObjectReport{ID: id, Phase: hostlink.Absent})
	}
	return nil
}

// end stops the work on a volume and forgets it.
func (a *Applier) end(ctx context.Context, id string) error {
	a.mu.Lock()
	j := a.jobs[id]
	a.mu.Unlock()
	if j == nil {
		return nil
	}
	j.stop()
	select {
	case <-j.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.jobs, id)
	return nil
}

// start begins the work on a volume, unless it is under way or done.
func (a *Applier) start(ctx context.Context, spec disk.Spec, report func(...hostlink.ObjectReport)) error {
	a.mu.Lock()
	j := a.jobs[spec.ID]
	a.mu.Unlock()
	if j != nil && j.spec == spec {
		a.mu.Lock()
		last := j.last
		a.mu.Unlock()
		report(last) // confirms it for this document
		return nil
	}
	if err := a.end(ctx, spec.ID); err != nil {
		return err
	}
	life, stop := context.WithCancel(a.life)
	j = &job{spec: spec, stop: stop, done: make(chan struct{}), over: make(chan struct{}), last: hostlink.ObjectReport{ID: spec.ID, Phase: hostlink.Pending}}
	a.mu.Lock()
	a.jobs[spec.ID] = j
	a.mu.Unlock()
	report(j.last)
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		defer close(j.over)
		lost := a.pursue(life, j)
		close(j.done)
		if lost {
			a.lookFor(life, j)
		}
	}()
	return nil
}

// wait returns when no volume is on its way.
func (a *Applier) wait(ctx context.Context) error {
	a.mu.Lock()
	var under []*job
	for _, j := range a.jobs {
		under = append(under, j)
	}
	a.mu.Unlock()
	for _, j := range under {
		select {
		case <-j.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.life.Done():
			return a.life.Err()
		}
	}
	return nil
}

// pursue makes a volume, trying again while that may help. It answers whether
// the volume was made once and is not there.
func (a *Applier) pursue(ctx context.Context, j *job) (lost bool) {
	pause := firstPause
	for {
		facts, err := a.ensure(ctx, j.spec)
		if ctx.Err() != nil {
			return false // stopped: the volume is no longer wanted like this
		}
		switch {
		case err == nil:
			a.tellReady(j, facts)
			return false
		case !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Internal):
			told := hostlink.ObjectReport{ID: j.spec.ID, Phase: hostlink.Failed, Error: fault.As(err).Text}
			if lost = j.spec.Made && fault.Is(err, fault.NotFound); lost {
				told.Kept = hostlink.KeptLost
			}
			a.tell(j, told)
			return lost
		}
		a.log.Warn("volume cannot be made now; trying again", "volume", j.spec.ID, "pause", pause, "error", err)
		a.tell(j, hostlink.ObjectReport{ID: j.spec.ID, Phase: hostlink.Pending, Error: fault.As(err).Text})
		select {
		case <-ctx.Done():
			return false
		case <-a.clock.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// lookFor looks again and again whether a lost volume is back with its disk.
func (a *Applier) lookFor(ctx context.Context, j *job) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.clock.After(lookAgain):
		}
		facts, err := a.driver.Ensure(ctx, j.spec)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			a.log.Info("a volume that was lost is back", "volume", j.spec.ID)
			a.tellReady(j, facts)
			return
		}
	}
}

// ensure has the driver make a volume; those that are filled take turns.
func (a *Applier) ensure(ctx context.Context, spec disk.Spec) (disk.Facts, error) {
	if spec.Source.Kind != disk.None {
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		case <-ctx.Done():
			return disk.Facts{}, ctx.Err()
		}
	}
	return a.driver.Ensure(ctx, spec)
}

func (a *Applier) tellReady(j *job, facts disk.Facts) {
	raw, _ := json.Marshal(facts) // of plain members: cannot fail
	a.tell(j, hostlink.ObjectReport{ID: j.spec.ID, Phase: hostlink.Ready, Facts: raw})
}

func (a *Applier) tell(j *job, r hostlink.ObjectReport) {
	a.mu.Lock()
	j.last = r
	report := a.report
	a.mu.Unlock()
	report(r)
}

// Inventory lists what is kept; a volume that is still being made is not.
func (a *Applier) Inventory(ctx context.Context) ([]hostlink.ObjectReport, error) {
	list, err := a.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []hostlink.ObjectReport
	for _, f := range list {
		raw, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("encode facts: %w", err)
		}
		out = append(out, hostlink.ObjectReport{ID: f.ID, Phase: hostlink.Ready, Facts: raw})
	}
	return out, nil
}

// Command: volumes have no one-shots.
func (a *Applier) Command(_ context.Context, cmd hostlink.Command) (json.RawMessage, error) {
	return nil, fault.New(fault.NotImplemented, "volumes know no command %q", cmd.Verb)
}

// Stream reads a volume's bytes.
func (a *Applier) Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	if kind != disk.StreamRead {
		return nil, fault.New(fault.NotImplemented, "volumes have no streams of kind %q", kind)
	}
	var p disk.ReadParams
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, fault.Invalidf("parameters of the stream cannot be read").Because(err)
	}
	r, _, err := a.driver.Open(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return readOnly{r}, nil
}

// readOnly is a stream that takes nothing.
type readOnly struct{ io.ReadCloser }

func (readOnly) Write([]byte) (int, error) { return 0, fault.Conflictf("this stream is only read") }
