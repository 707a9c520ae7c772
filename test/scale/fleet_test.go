package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
	"github.com/mekcloud/mek/internal/id"
)

// fleet is many hosts of which there is no more than a server can see: what they
// hold, and which objects they report. It leaves the memory and the processors of
// the machine to the control plane, which is what is measured.
type fleet struct{ hosts []*light }

func newFleet(n int) *fleet {
	all := &fleet{}
	for i := range n {
		all.hosts = append(all.hosts, newLight(fmt.Sprintf("sim-%d", i+1)))
	}
	return all
}

// Join connects all hosts, some at a time, as agents that find their server again do.
func (all *fleet) Join(ctx context.Context, h *hub.Hub) error {
	_, errs := crowd(len(all.hosts), 32, func(i int) (float64, error) { return 0, all.hosts[i].join(ctx, h) })
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// Leave ends all connections.
func (all *fleet) Leave() {
	for _, l := range all.hosts {
		l.mu.Lock()
		link := l.link
		l.link = nil
		l.mu.Unlock()
		if link != nil {
			link.Down()
		}
	}
}

// light is one host: it has done what it is told as soon as it is told.
type light struct {
	name string

	mu       sync.Mutex
	link     *hub.Link
	sequence int64
	sections map[hostlink.Section]*lightSection
}

// lightSection is what a host holds, and what it says of it.
type lightSection struct {
	held     hostlink.Held
	listed   hostlink.Listed
	objects  []hostlink.ObjectReport // ascending by id
	check    uint64
	reported int64 // sequence of the last report
}

var allSections = []hostlink.Section{hostlink.Guests, hostlink.Ports, hostlink.Volumes}

func newLight(name string) *light {
	l := &light{name: name, sections: map[hostlink.Section]*lightSection{}}
	for _, s := range allSections {
		l.sections[s] = &lightSection{held: hostlink.Held{Section: s}}
	}
	return l
}

func (l *light) join(ctx context.Context, h *hub.Hub) error {
	hello := hostlink.Hello{Deltas: true, Facts: hostlink.Facts{Host: l.name, ID: id.Named(l.name), Arch: "x86_64", CPUs: 64, MemoryMiB: 256 << 10, DiskGiB: 4096, Address: "127.0.0.1",
		Driver: "sim", DriverVer: 1_000_000, Traits: []string{"COMPUTE_STATUS_DISABLED"}[:0], More: map[string]string{"live_migration": "yes"}}}
	l.mu.Lock()
	for _, s := range allSections {
		sec := l.sections[s]
		hello.Held = append(hello.Held, sec.held)
		if sec.listed.Member != "" {
			hello.Listed = append(hello.Listed, hostlink.PackListed(s, sec.listed))
		}
		hello.Reports = append(hello.Reports, l.report(sec, sec.objects, 0))
	}
	l.mu.Unlock()
	link, err := h.Up(ctx, l.name, hello, l, true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link = link
	return err
}

// report is under mu.
func (l *light) report(sec *lightSection, objects []hostlink.ObjectReport, since int64) hostlink.Report {
	l.sequence++
	sec.reported = l.sequence
	return hostlink.Report{Host: l.name, Section: sec.held.Section, Revision: sec.held.Revision, Digest: sec.held.Digest, Epoch: sec.held.Epoch, Applied: sec.held.Revision,
		Sequence: l.sequence, Objects: objects, Since: since, Check: sec.check}
}

// spec is what a light host reads of an object.
type spec struct {
	ID          string `json:"id"`
	Power       string `json:"power"`
	PowerSerial int64  `json:"power_serial"`
	Ask         bool   `json:"ask"`
}

// Accept takes a document, and reports all of it as done.
func (l *light) Accept(ctx context.Context, doc hostlink.Document) error {
	var body map[string][]spec
	if err := json.Unmarshal(doc.Body, &body); err != nil {
		return err
	}
	listed, _, _ := hostlink.Take(doc.Body)
	l.mu.Lock()
	sec := l.sections[doc.Section]
	was := sec.objects
	sec.held, sec.listed, sec.objects, sec.check = doc.Held(), listed, nil, 0
	var starts []string
	for _, list := range body {
		for _, o := range list {
			starts = append(starts, sec.set(o, was)...)
		}
	}
	report := l.report(sec, sec.objects, 0)
	l.mu.Unlock()
	l.tell(ctx, starts, report)
	return nil
}

// Amend takes a delta, and reports what it changed as done.
func (l *light) Amend(ctx context.Context, d hostlink.Delta) error {
	specs := make([]spec, len(d.Set))
	for i, text := range d.Set {
		if err := json.Unmarshal(text, &specs[i]); err != nil {
			return err
		}
	}
	set, _, ok := hostlink.Take(hostlink.Listed{Member: d.Member}.Body(d.Set))
	if !ok {
		return hostlink.Mismatch("no list")
	}
	l.mu.Lock()
	sec := l.sections[d.Section]
	after := sec.listed.With(set.Objects, d.Remove)
	if sec.held.Digest != d.Base || after.Digest() != d.Digest {
		l.mu.Unlock()
		return hostlink.Mismatch("another document")
	}
	since := sec.reported
	sec.held, sec.listed = d.Held(), after
	var starts []string
	var changed []hostlink.ObjectReport
	for _, o := range specs {
		starts = append(starts, sec.set(o, sec.objects)...)
		at, _ := sec.find(o.ID)
		changed = append(changed, sec.objects[at])
	}
	for _, id := range d.Remove {
		if at, there := sec.find(id); there {
			sec.check -= sec.objects[at].Check()
			sec.objects = slices.Delete(sec.objects, at, at+1)
		}
	}
	report := l.report(sec, changed, since)
	report.Gone = d.Remove
	l.mu.Unlock()
	l.tell(ctx, starts, report)
	return nil
}

func (sec *lightSection) find(id string) (int, bool) {
	return slices.BinarySearchFunc(sec.objects, id, func(r hostlink.ObjectReport, id string) int { return strings.Compare(r.ID, id) })
}

// set puts an object among those that are done, and lists it if it may have to be
// asked for: it is a guest that was not there.
func (sec *lightSection) set(o spec, was []hostlink.ObjectReport) (starts []string) {
	report := hostlink.ObjectReport{ID: o.ID, Phase: hostlink.Ready, Revision: sec.held.Revision}
	if sec.held.Section == hostlink.Guests {
		report.Facts = factsOf(o.ID, o.Power, o.PowerSerial)
		if _, known := (&lightSection{objects: was}).find(o.ID); o.Ask && !known {
			starts = []string{o.ID}
		}
	}
	at, there := sec.find(o.ID)
	if there {
		sec.check -= sec.objects[at].Check()
		sec.objects[at] = report
	} else {
		sec.objects = slices.Insert(sec.objects, at, report)
	}
	sec.check += report.Check()
	return starts
}

func (l *light) tell(ctx context.Context, starts []string, report hostlink.Report) {
	l.mu.Lock()
	link := l.link
	l.mu.Unlock()
	if link == nil {
		return
	}
	go func() {
		ctx := context.WithoutCancel(ctx)
		for _, guest := range starts {
			_ = link.Tell(ctx, hostlink.Message{Section: hostlink.Guests, Object: guest, Verb: hostlink.VerbStart, Params: json.RawMessage("{}")})
		}
		if err := link.Report(ctx, report); fault.As(err).Code != hostlink.WholeWanted || err == nil {
			return // one that is not taken is told with the next
		}
		l.mu.Lock()
		sec := l.sections[report.Section]
		whole := l.report(sec, slices.Clone(sec.objects), 0)
		l.mu.Unlock()
		_ = link.Report(ctx, whole)
	}()
}

func factsOf(guestID, power string, serial int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":%q,"driver":"sim","power":%q,"power_serial":%d}`, guestID, power, serial))
}

func (l *light) Command(context.Context, hostlink.Command) (json.RawMessage, error) {
	return nil, fault.New(fault.NotImplemented, "a host of the scale test runs no commands")
}

func (l *light) Forget(context.Context, string) error { return nil }

func (l *light) Stream(context.Context, string, json.RawMessage) (io.ReadWriteCloser, error) {
	return nil, fault.New(fault.NotImplemented, "a host of the scale test has no streams")
}
