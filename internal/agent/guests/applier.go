package guests

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// How many guests are worked on at a time.
const (
	ensureAtOnce  = 16
	destroyAtOnce = 16
)

// Applier makes guests. Make it with New; safe for concurrent use.
type Applier struct {
	driver guest.Driver
	clock  clock.Clock
	log    *slog.Logger
	up     Teller // nil: nobody is asked whether a guest may start

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup
	ensures  chan struct{} // holds a token per running Ensure
	destroys chan struct{} // holds a token per running Destroy

	mu     sync.Mutex
	specs  map[string]guest.Spec // of the document that was applied last
	read   map[string]guest.Spec // the same by their text
	jobs   map[string]*job       // the newest per guest
	report func(...hostlink.ObjectReport)
}

var _ hostlink.Applier = (*Applier)(nil)

// New makes the applier of a host and begins to watch its guests.
func New(driver guest.Driver, c clock.Clock, log *slog.Logger) *Applier {
	a := &Applier{driver: driver, clock: c, log: log, specs: map[string]guest.Spec{}, jobs: map[string]*job{},
		ensures: make(chan struct{}, ensureAtOnce), destroys: make(chan struct{}, destroyAtOnce)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.work.Go(a.watch)
	return a
}

// Teller sends messages to the server.
type Teller interface {
	Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error
}

// Ask has the server asked before a guest runs here for the first time. For
// wiring, before the first document.
func (a *Applier) Ask(up Teller) { a.up = up }

// Close ends all jobs, leaving guests as they are, and waits for them. The
// driver is closed after it, by whoever made it.
func (a *Applier) Close() {
	a.cancel()
	a.work.Wait()
}

// Metadata are the documents of a guest that the server assigned to this host.
func (a *Applier) Metadata(serverID string) (guest.Metadata, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.specs[serverID]
	return s.Metadata, ok
}

// Apply makes the host's guests those of the document.
func (a *Applier) Apply(ctx context.Context, doc hostlink.Document, report func(...hostlink.ObjectReport)) error {
	var texts struct {
		Guests []json.RawMessage `json:"guests"`
	}
	if err := json.Unmarshal(doc.Body, &texts); err != nil {
		return fault.Invalidf("the document of guests cannot be read").Because(err)
	}
	want, err := a.parse(texts.Guests)
	if err != nil {
		return err
	}
	here, err := a.driver.List(ctx)
	if err != nil {
		return err
	}
	jobs, err := a.begin(want, here, doc.Kept, report)
	if err != nil {
		return err
	}
	var all error
	for _, j := range jobs {
		select {
		case <-j.done:
			all = errors.Join(all, j.retry)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return all
}

// wanted is a guest of a document, with the text it has there.
type wanted struct {
	guest.Spec
	text string
}

// parse reads guests. Most are as they were in the document before this one: a
// host with many must not read them all again for each that comes.
func (a *Applier) parse(texts []json.RawMessage) ([]wanted, error) {
	a.mu.Lock()
	was := a.read
	a.mu.Unlock()
	out, read := make([]wanted, len(texts)), make(map[string]guest.Spec, len(texts))
	for i, raw := range texts {
		spec, known := was[string(raw)]
		if !known {
			if err := json.Unmarshal(raw, &spec); err != nil {
				return nil, fault.Invalidf("the document of guests cannot be read").Because(err)
			}
		}
		out[i] = wanted{spec, string(raw)}
		read[out[i].text] = spec
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read = read
	return out, nil
}

// begin starts a job for each guest that differs from what was last done to it,
// reports what is known already, and answers the jobs to wait for.
func (a *Applier) begin(want []wanted, here []guest.Facts, kept map[string]hostlink.Kept, report func(...hostlink.ObjectReport)) (jobs []*job, err error) {
	a.mu.Lock() // until the end: no job reports before it was reported to be pending
	defer a.mu.Unlock()
	a.report = report
	var news []hostlink.ObjectReport
	facts := make(map[string]guest.Facts, len(here))
	for _, f := range here {
		facts[f.ID] = f
	}
	a.specs = make(map[string]guest.Spec, len(want))
	for _, w := range want {
		a.specs[w.ID] = w.Spec
		spec, answer := instead(kept[w.ID], w.Spec)
		if answer != nil {
			answer.Facts = encode(facts[spec.ID])
			news = append(news, *answer)
			continue
		}
		text := w.text
		if _, other := kept[w.ID]; other {
			raw, err := hostlink.Canonical(spec)
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		j := a.jobs[spec.ID]
		switch {
		case j == nil || j.text != text || j.ended() && j.retry != nil:
			j = a.start(spec.ID, text, func(ctx context.Context) hostlink.ObjectReport { return a.ensure(ctx, spec) })
			news = append(news, hostlink.ObjectReport{ID: spec.ID, Phase: hostlink.Pending, Facts: encode(facts[spec.ID])})
		case j.ended():
			news = append(news, a.fresh(j))
		}
		jobs = append(jobs, j)
	}
	for id := range a.unwanted(here) {
		if k, ok := kept[id]; ok {
			a.quarantine(k)
			continue
		}
		j := a.jobs[id]
		if j == nil || j.text != removal || j.ended() {
			j = a.start(id, removal, func(ctx context.Context) hostlink.ObjectReport { return a.destroy(ctx, id) })
		}
		jobs = append(jobs, j)
	}
	report(news...)
	return jobs, nil
}

// unwanted are the guests that the document does not name: those on the host,
// and those whose job has not reached the driver yet, which would make them
// after all. Under mu.
func (a *Applier) unwanted(here []guest.Facts) map[string]bool {
	ids := map[string]bool{}
	for _, f := range here {
		ids[f.ID] = true
	}
	for id := range a.jobs {
		ids[id] = true
	}
	maps.DeleteFunc(ids, func(id string, _ bool) bool { _, wanted := a.specs[id]; return wanted })
	return ids
}

// encode is facts as they travel.
func encode(f guest.Facts) json.RawMessage {
	if f.ID == "" {
		return nil // nothing is known
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil // cannot happen: words, numbers and times
	}
	return raw
}

// Inventory lists the guests that are on the host.
func (a *Applier) Inventory(ctx context.Context) ([]hostlink.ObjectReport, error) {
	here, err := a.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]hostlink.ObjectReport, 0, len(here))
	for _, f := range here {
		o := hostlink.ObjectReport{ID: f.ID, Phase: hostlink.Pending}
		if j := a.jobs[f.ID]; j != nil && j.ended() {
			o = j.result
		}
		o.Facts = encode(f)
		list = append(list, o)
	}
	return list, nil
}

// watch reports guests that changed by themselves.
func (a *Applier) watch() {
	for {
		id, err := a.driver.Next(a.ctx)
		if err != nil {
			return // closed
		}
		a.retell(id)
	}
}

// retell reports a guest again, in the phase it has, with its facts of now. One
// that is being worked on is reported when that is done.
func (a *Applier) retell(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if j := a.jobs[id]; j != nil && j.ended() && a.report != nil {
		a.report(a.fresh(j))
	}
}

// fresh is the result of a job that has ended, with facts of now. Under mu.
func (a *Applier) fresh(j *job) hostlink.ObjectReport {
	o := j.result
	if f, err := a.driver.Inspect(a.ctx, o.ID); err == nil { // else what was known stands
		o.Facts = encode(f)
	}
	return o
}
