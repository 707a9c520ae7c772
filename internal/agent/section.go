package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// The pauses before a document whose Apply failed is applied again.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// section is one part of what the host should have, and how far it is.
type section struct {
	name    hostlink.Section
	applier hostlink.Applier
	clock   clock.Clock
	log     *slog.Logger
	tell    func(hostlink.Section) // something changed; never blocks
	save    func(record) error

	mu      sync.Mutex
	doc     hostlink.Document // zero: none accepted
	before  hostlink.Document // of an earlier epoch, until recover looked at it
	kept    map[string]hostlink.Kept
	applied int64
	objects map[string]hostlink.ObjectReport
	news    news
	stop    context.CancelFunc // of the running Apply
	wake    chan struct{}      // holds one element when doc is new
}

// accept takes a newer document; put makes it durable.
func (s *section) accept(doc hostlink.Document, put func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replace(doc, put)
}

// amend is accept for what makes a newer document out of the present one. What is
// made durable is the whole: a program that knows no deltas may read it.
func (s *section) amend(delta hostlink.Delta, put func(hostlink.Document) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delta.Held() == s.doc.Held() {
		return nil
	}
	doc, err := delta.Apply(s.doc)
	if err != nil {
		return err
	}
	return s.replace(doc, func() error { return put(doc) })
}

// replace takes a newer document. The caller holds mu.
func (s *section) replace(doc hostlink.Document, put func() error) error {
	switch {
	case doc.Held() == s.doc.Held():
		return nil
	case doc.Epoch < s.doc.Epoch:
		return fault.Conflictf("%s is of a time that is over", s.name)
	case doc.Epoch == s.doc.Epoch && doc.Revision < s.doc.Revision:
		return fault.Conflictf("revision %d of %s is older than %d", doc.Revision, s.name, s.doc.Revision)
	}
	if err := put(); err != nil {
		return fault.Unavailablef("the host cannot write its journal").Because(err)
	}
	s.enter(doc)
	s.doc = doc
	if s.stop != nil {
		s.stop()
	}
	s.kick()
	return nil
}

// kick wakes the loop. The caller holds mu.
func (s *section) kick() {
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

// run applies documents until ctx ends.
func (s *section) run(ctx context.Context) {
	s.adopt(ctx)
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for ctx.Err() == nil {
			again, err := s.applyOnce(ctx)
			if err == nil {
				pause = firstPause
				break
			}
			if again { // a newer document stopped this one
				break
			}
			s.log.Warn("document not applied; trying again", "section", s.name, "pause", pause, "error", err)
			select {
			case <-ctx.Done():
			case <-s.wake:
			case <-s.clock.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// adopt lists what is on the host before anything is applied.
func (s *section) adopt(ctx context.Context) {
	list, err := s.applier.Inventory(ctx)
	if err != nil {
		s.log.Warn("inventory at start failed; the first apply tells", "section", s.name, "error", err)
	}
	s.mu.Lock()
	for _, o := range list {
		o.Revision = 0
		s.objects[o.ID] = o
		s.news.changed(o.ID)
	}
	if s.doc.Revision > 0 || s.doc.Digest != "" {
		s.kick()
	}
	s.mu.Unlock()
	s.tell(s.name)
}

// applyOnce applies the newest document. superseded: a newer one came meanwhile.
func (s *section) applyOnce(ctx context.Context) (superseded bool, err error) {
	s.mu.Lock()
	doc := s.doc
	ctx, cancel := context.WithCancel(ctx)
	s.stop = cancel
	s.mu.Unlock()
	defer cancel()

	doc.Kept, err = s.recover(ctx, doc)
	if err == nil {
		err = s.applier.Apply(ctx, doc, func(list ...hostlink.ObjectReport) { s.report(doc, list) })
	}
	if err == nil {
		err = ctx.Err() // an applier that returns early without an error has not finished
	}
	s.mu.Lock()
	superseded = s.doc.Held() != doc.Held()
	s.stop = nil
	s.mu.Unlock()
	if err != nil {
		return superseded, err
	}
	s.settle(ctx, doc)
	return superseded, nil
}

// report takes what the applier says of objects under a document.
func (s *section) report(doc hostlink.Document, list []hostlink.ObjectReport) {
	s.mu.Lock()
	revision := doc.Revision
	if doc.Epoch != s.doc.Epoch {
		revision = 0 // of another count
	}
	for _, o := range list {
		o.Revision = revision
		if s.objects[o.ID].Revision <= revision && revision >= s.applied {
			s.objects[o.ID] = o
			s.news.changed(o.ID)
		}
	}
	s.mu.Unlock()
	s.tell(s.name)
}

// settle follows an Apply that did all: what was not spoken of is as the
// document says, or it is not on the host.
func (s *section) settle(ctx context.Context, doc hostlink.Document) {
	revision := doc.Revision
	list, err := s.applier.Inventory(ctx)
	here := map[string]bool{}
	for _, o := range list {
		here[o.ID] = true
	}
	s.mu.Lock()
	if doc.Epoch != s.doc.Epoch {
		s.mu.Unlock()
		return // what it brought about is told again under the document that replaced it
	}
	for id, o := range s.objects {
		spoken := o.Revision >= revision
		switch {
		case o.Phase == hostlink.Absent && spoken,
			err == nil && !spoken && !here[id] && o.Phase != hostlink.Failed:
			delete(s.objects, id)
			s.news.gone(id)
		case !spoken: // applied says so of all
			o.Revision = revision
			s.objects[id] = o
		}
	}
	s.applied = max(s.applied, revision)
	s.mu.Unlock()
	if err != nil {
		s.log.Warn("inventory failed; objects are told as last known", "section", s.name, "error", err)
	}
	s.tell(s.name)
}

// inventory answers hostlink.TakeInventory.
func (s *section) inventory(ctx context.Context) (json.RawMessage, error) {
	list, err := s.applier.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	for i, o := range list {
		if k, ok := s.kept[o.ID]; ok && k.Kind == hostlink.KeptUnknown {
			list[i].Phase, list[i].Kept = hostlink.Quarantined, k.Kind
		}
	}
	out := hostlink.Inventory{Section: s.name, Revision: s.doc.Revision, Applied: s.applied, Objects: list}
	s.mu.Unlock()
	if e, ok := s.applier.(hostlink.Examiner); ok {
		if out.More, err = e.Examine(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

func (s *section) held() hostlink.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doc.Held()
}

// listed is what is held, and what that lists: nothing where it was not sent by
// what it lists.
func (s *section) listed() (hostlink.Held, hostlink.Listed) {
	s.mu.Lock()
	doc := s.doc
	s.mu.Unlock()
	if l, _, ok := hostlink.Take(doc.Body); ok && l.Digest() == doc.Digest {
		return doc.Held(), l
	}
	return doc.Held(), hostlink.Listed{}
}

// stream asks the applier, keeping a refusal apart from a failure.
func (s *section) stream(ctx context.Context, kind string, params json.RawMessage) (stream streamOf, mine bool, err error) {
	got, err := s.applier.Stream(ctx, kind, params)
	if fault.Is(err, fault.NotImplemented) {
		return nil, false, err
	}
	return got, !fault.Is(err, fault.NotFound), err
}
