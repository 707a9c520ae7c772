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
		all.hosts = append(all.hosts, &light{name: fmt.Sprintf("sim-%d", i+1), held: map[hostlink.Section]hostlink.Held{}, objects: map[hostlink.Section][]hostlink.ObjectReport{}})
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
	held     map[hostlink.Section]hostlink.Held
	objects  map[hostlink.Section][]hostlink.ObjectReport
}

func (l *light) join(ctx context.Context, h *hub.Hub) error {
	hello := hostlink.Hello{Facts: hostlink.Facts{Host: l.name, ID: id.Named(l.name), Arch: "x86_64", CPUs: 64, MemoryMiB: 256 << 10, DiskGiB: 4096, Address: "127.0.0.1",
		Driver: "sim", DriverVer: 1_000_000, Traits: []string{"COMPUTE_STATUS_DISABLED"}[:0], More: map[string]string{"live_migration": "yes"}}}
	l.mu.Lock()
	for _, s := range []hostlink.Section{hostlink.Guests, hostlink.Ports, hostlink.Volumes} {
		held := l.held[s]
		held.Section = s
		hello.Held = append(hello.Held, held)
		hello.Reports = append(hello.Reports, l.reportOf(s))
	}
	l.mu.Unlock()
	link, err := h.Up(ctx, l.name, hello, l, true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.link = link
	return err
}

// reportOf is under mu.
func (l *light) reportOf(s hostlink.Section) hostlink.Report {
	l.sequence++
	held := l.held[s]
	return hostlink.Report{Host: l.name, Section: s, Revision: held.Revision, Digest: held.Digest, Epoch: held.Epoch, Applied: held.Revision, Sequence: l.sequence, Objects: l.objects[s]}
}

// Accept takes a document, and reports all of it as done.
func (l *light) Accept(ctx context.Context, doc hostlink.Document) error {
	var body map[string][]struct {
		ID          string `json:"id"`
		Power       string `json:"power"`
		PowerSerial int64  `json:"power_serial"`
		Ask         bool   `json:"ask"`
	}
	if err := json.Unmarshal(doc.Body, &body); err != nil {
		return err
	}
	var objects []hostlink.ObjectReport
	var starts []string
	l.mu.Lock()
	was := l.objects[doc.Section]
	l.mu.Unlock()
	for _, list := range body {
		for _, o := range list {
			report := hostlink.ObjectReport{ID: o.ID, Phase: hostlink.Ready, Revision: doc.Revision}
			if doc.Section == hostlink.Guests {
				report.Facts = factsOf(o.ID, o.Power, o.PowerSerial)
				if _, known := slices.BinarySearchFunc(was, o.ID, func(r hostlink.ObjectReport, id string) int { return strings.Compare(r.ID, id) }); o.Ask && !known {
					starts = append(starts, o.ID)
				}
			}
			objects = append(objects, report)
		}
	}
	slices.SortFunc(objects, func(a, b hostlink.ObjectReport) int { return strings.Compare(a.ID, b.ID) })
	l.mu.Lock()
	l.held[doc.Section], l.objects[doc.Section] = doc.Held(), objects
	link, report := l.link, l.reportOf(doc.Section)
	l.mu.Unlock()
	if link != nil {
		go func() {
			ctx := context.WithoutCancel(ctx)
			for _, guest := range starts {
				_ = link.Tell(ctx, hostlink.Message{Section: doc.Section, Object: guest, Verb: hostlink.VerbStart, Params: json.RawMessage("{}")})
			}
			_ = link.Report(ctx, report) // one that is not taken is told with the next
		}()
	}
	return nil
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
