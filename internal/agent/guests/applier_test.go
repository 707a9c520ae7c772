package guests

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/compute/guest/sim"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
)

// host is an applier over simulated guests, and all that it reported.
type host struct {
	*Applier
	t   *testing.T
	sim *sim.Driver

	mu    sync.Mutex
	told  map[string]hostlink.ObjectReport
	all   []hostlink.ObjectReport
	fault func(call, guestID string) sim.Fault
	rev   int64
}

func newHost(t *testing.T) *host {
	h := &host{t: t, told: map[string]hostlink.ObjectReport{}, fault: func(string, string) sim.Fault { return sim.Fault{} }}
	h.sim = sim.New(sim.Config{Clock: clock.Real{}, Fault: func(call, guestID string) sim.Fault {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.fault(call, guestID)
	}})
	h.Applier = New(h.sim, clock.Real{}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(h.Close)
	return h
}

func (h *host) report(list ...hostlink.ObjectReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range list {
		h.told[o.ID] = o
		h.all = append(h.all, o)
	}
}

// apply applies guests, within a time.
func (h *host) apply(limit time.Duration, specs ...guest.Spec) error {
	h.t.Helper()
	h.rev++
	doc, err := hostlink.NewDocument(hostlink.Guests, h.rev, guest.Document{Guests: specs})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	return h.Apply(ctx, doc, h.report)
}

// phase says what was told of a guest last, and that its facts say so too.
func (h *host) phase(guestID string, want hostlink.Phase, power guest.Power) hostlink.ObjectReport {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.told[guestID]
	var f guest.Facts
	if len(o.Facts) > 0 {
		if err := json.Unmarshal(o.Facts, &f); err != nil {
			h.t.Error(err)
		}
	}
	if o.Phase != want || f.Power != power {
		h.t.Errorf("told %q, power %q (%s); want %q, %q", o.Phase, f.Power, o.Error, want, power)
	}
	return o
}

func (h *host) fails(fn func(call, guestID string) sim.Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = fn
}

const soon = 10 * time.Second

func spec() guest.Spec { return guesttest.Spec(id.New(), "raw") }

func TestHostBecomesTheDocument(t *testing.T) {
	t.Parallel()
	h, a, b := newHost(t), spec(), spec()
	a.Metadata.UserData = []byte("x")
	if err := h.apply(soon, a, b); err != nil {
		t.Fatal(err)
	}
	h.phase(a.ID, hostlink.Ready, guest.Running)
	h.phase(b.ID, hostlink.Ready, guest.Running)
	if m, ok := h.Metadata(a.ID); !ok || string(m.UserData) != "x" {
		t.Errorf("metadata %+v, %v", m, ok)
	}
	b.Power = guest.Paused
	if err := h.apply(soon, b); err != nil {
		t.Fatal(err)
	}
	h.phase(a.ID, hostlink.Absent, "")
	h.phase(b.ID, hostlink.Ready, guest.Paused)
	if _, ok := h.Metadata(a.ID); ok {
		t.Error("a removed guest still has metadata")
	}
	list, err := h.Inventory(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != b.ID || list[0].Phase != hostlink.Ready {
		t.Errorf("inventory %+v, error %v", list, err)
	}
}

// TestGuestIsGivenUpBeforeItIsBegun: the next document comes while the job that
// would make a guest still waits for its turn.
func TestGuestIsGivenUpBeforeItIsBegun(t *testing.T) {
	t.Parallel()
	h, a := newHost(t), spec()
	for range ensureAtOnce {
		h.ensures <- struct{}{}
	}
	if err := h.apply(time.Millisecond, a); err == nil {
		t.Fatal("a guest was made out of turn")
	}
	if err := h.apply(soon); err != nil {
		t.Fatal(err)
	}
	h.Applier.mu.Lock()
	left := h.jobs[a.ID]
	h.Applier.mu.Unlock()
	for range ensureAtOnce {
		<-h.ensures
	}
	if left != nil {
		<-left.done
	}
	if list, err := h.Inventory(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("inventory %+v, error %v", list, err)
	}
	h.phase(a.ID, hostlink.Absent, "")
}

func TestUnchangedGuestsAreLeftAlone(t *testing.T) {
	t.Parallel()
	h, a, b := newHost(t), spec(), spec()
	if err := h.apply(soon, a); err != nil {
		t.Fatal(err)
	}
	h.fails(func(_, guestID string) sim.Fault {
		if guestID == a.ID {
			return sim.Fault{Err: fault.Internalf("nobody asked")}
		}
		return sim.Fault{}
	})
	h.mu.Lock()
	delete(h.told, a.ID)
	h.mu.Unlock()
	if err := h.apply(soon, a, b); err != nil {
		t.Fatal(err)
	}
	h.phase(a.ID, hostlink.Ready, guest.Running) // told again under the new document
	h.phase(b.ID, hostlink.Ready, guest.Running)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	h, a := newHost(t), spec()
	calls, err := 0, error(fault.Unavailablef("not yet"))
	h.fails(func(string, string) sim.Fault { calls++; return sim.Fault{Err: err} })
	if got := h.apply(soon, a); !fault.Is(got, fault.Unavailable) {
		t.Errorf("what may work later: %v", got)
	}
	if o := h.phase(a.ID, hostlink.Pending, ""); o.Error != "not yet" {
		t.Errorf("told %q", o.Error)
	}
	err = fault.Internalf("open /secret/path: no")
	for range 2 { // the second time nothing is tried
		if got := h.apply(soon, a); got != nil {
			t.Errorf("what cannot work: %v", got)
		}
		if o := h.phase(a.ID, hostlink.Failed, ""); o.Error == "" || strings.Contains(o.Error, "secret") {
			t.Errorf("told %q", o.Error)
		}
	}
	if calls != 2 {
		t.Errorf("%d attempts, want 2", calls)
	}
	h.fails(func(string, string) sim.Fault { return sim.Fault{} })
	a.MemoryMiB++ // another Spec: it is tried again
	if got := h.apply(soon, a); got != nil {
		t.Error(got)
	}
	h.phase(a.ID, hostlink.Ready, guest.Running)
}

// TestSlowGuestsHoldUpNobody: one guest hangs; others are made under newer
// documents, its own job goes on, and its removal does not wait for it.
func TestSlowGuestsHoldUpNobody(t *testing.T) {
	t.Parallel()
	h, slow, quick := newHost(t), spec(), spec()
	attempts := 0
	h.fails(func(call, guestID string) sim.Fault {
		if guestID == slow.ID && call == "ensure" {
			attempts++
			return sim.Fault{Delay: time.Hour}
		}
		return sim.Fault{}
	})
	for range 3 {
		quick.MemoryMiB++
		if err := h.apply(100*time.Millisecond, slow, quick); err == nil {
			t.Error("applied, with a guest that hangs")
		}
		h.phase(slow.ID, hostlink.Pending, "")
		h.phase(quick.ID, hostlink.Ready, guest.Running)
	}
	h.mu.Lock()
	if attempts != 1 {
		t.Errorf("%d attempts: a new document must not start over what it does not change", attempts)
	}
	h.mu.Unlock()
	if err := h.apply(soon, quick); err != nil {
		t.Error(err)
	}
	if here, err := h.Inventory(t.Context()); err != nil || len(here) != 1 {
		t.Errorf("here %+v, error %v", here, err)
	}
}

func TestGuestsThatChangeByThemselvesAreTold(t *testing.T) {
	t.Parallel()
	h, a := newHost(t), spec()
	if err := h.apply(soon, a); err != nil {
		t.Fatal(err)
	}
	if err := h.sim.SwitchOff(a.ID); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(soon)
	for {
		h.mu.Lock()
		last := string(h.told[a.ID].Facts)
		h.mu.Unlock()
		if strings.Contains(last, `"power":"stopped"`) {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("last told: %s", last)
		}
		time.Sleep(time.Millisecond)
	}
	h.phase(a.ID, hostlink.Ready, guest.Stopped)
}

func TestCommandsAndStreams(t *testing.T) {
	t.Parallel()
	h, a := newHost(t), spec()
	if err := h.apply(soon, a); err != nil {
		t.Fatal(err)
	}
	do := func(verb, params string) (string, error) {
		raw, err := h.Command(t.Context(), hostlink.Command{Token: "token", Object: a.ID, Verb: verb, Params: json.RawMessage(params)})
		return string(raw), err
	}
	for verb, params := range map[string]string{"nmi": "", "reboot": `{"kind":"HARD"}`, "set-password": `{"user":"root","password":"x"}`, "snapshot-discard": `{"name":"y"}`} {
		if _, err := do(verb, params); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if out, err := do("console-log", `{"lines":1}`); err != nil || out != `{"output":"bG9naW46IA=="}` {
		t.Errorf("console log %s, error %v", out, err)
	}
	if _, err := do("reboot", `{"kind":"WARM"}`); !fault.Is(err, fault.Invalid) {
		t.Errorf("odd reboot: %v", err)
	}
	if _, err := do("dance", ""); !fault.Is(err, fault.NotImplemented) {
		t.Errorf("odd verb: %v", err)
	}
	var info guest.SnapshotInfo
	if out, err := do("snapshot", ""); err != nil || json.Unmarshal([]byte(out), &info) != nil || info.Name != "token" {
		t.Errorf("snapshot %s, error %v", out, err)
	}
	raw := json.RawMessage(`{"id":"` + a.ID + `","name":"token"}`)
	s, err := h.Stream(t.Context(), "snapshot", raw)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, s); err != nil || n != info.SizeBytes {
		t.Errorf("%d bytes, error %v", n, err)
	}
	for _, kind := range []string{"vnc", "serial"} {
		s, err := h.Stream(t.Context(), kind, raw)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.Stream(t.Context(), "radio", raw); !fault.Is(err, fault.NotImplemented) {
		t.Errorf("odd stream: %v", err)
	}
}
