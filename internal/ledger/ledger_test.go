package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/clock"
)

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(path, clock.NewFake(time.Unix(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func record(t *testing.T, l *Ledger, kind Kind, name, old string) {
	t.Helper()
	if err := l.Record(Change{Kind: kind, Name: name, Old: old}); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, l *Ledger) []string {
	t.Helper()
	live, err := l.Live()
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, c := range live {
		out = append(out, string(c.Kind)+" "+c.Name+"="+c.Old)
	}
	return out
}

func TestRecordKeepsTheFirstOldValue(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger"))
	record(t, l, Sysctl, "net.ipv4.ip_forward", "0")
	record(t, l, Sysctl, "net.ipv4.ip_forward", "1")
	record(t, l, Link, "mk1", "")
	if err := l.Forget(Link, "mk1"); err != nil {
		t.Fatal(err)
	}
	record(t, l, Link, "mk1", "")
	record(t, l, Bridge, "b", "")
	if err := l.Forget(Link, "never"); err != nil {
		t.Fatal(err)
	}
	want := []string{"sysctl net.ipv4.ip_forward=0", "link mk1=", "bridge b="}
	if d := cmp.Diff(want, names(t, l)); d != "" {
		t.Fatal(d)
	}
}

func TestTornTailIsDroppedAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	l := open(t, whole)
	record(t, l, Link, "a", "")
	first, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, Link, "b", "")
	both, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(first); cut < len(both); cut++ {
		path := filepath.Join(dir, fmt.Sprint("cut", cut))
		if err := os.WriteFile(path, both[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		torn := open(t, path)
		record(t, torn, Link, "c", "")
		if d := cmp.Diff([]string{"link a=", "link c="}, names(t, torn)); d != "" {
			t.Fatalf("cut at %d: %s", cut, d)
		}
	}
}

func TestDamageInTheMiddleIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	record(t, l, Link, "a", "")
	record(t, l, Link, "b", "")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, clock.Real{}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("opened a damaged ledger: %v", err)
	}
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			l := open(t, path) // a Ledger of its own each, as in other processes
			for i := range 20 {
				if err := l.Record(Change{Kind: Link, Name: fmt.Sprintf("l%d-%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(names(t, open(t, path))); n != 80 {
		t.Fatalf("%d of 80 changes recorded", n)
	}
}

func TestHistoryIsRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	var history []line
	for i := range 600 {
		c := Change{Kind: Link, Name: fmt.Sprint("tap", i)}
		history = append(history, line{opMade, c}, line{opUndone, c})
	}
	text, err := render(append(history, line{opMade, Change{Kind: User, Name: "mek"}}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	record(t, l, Link, "new", "")
	if d := cmp.Diff([]string{"user mek=", "link new="}, names(t, l)); d != "" {
		t.Fatal(d)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() > 400 {
		t.Fatalf("history was kept: %v %v", fi, err)
	}
}

// hostStub refuses some names and notes the order.
type hostStub struct {
	refuse string
	order  []string
}

func (h *hostStub) Undo(_ context.Context, c Change) error {
	if c.Name == h.refuse {
		return errors.New("busy")
	}
	h.order = append(h.order, c.Name)
	return nil
}

func (h *hostStub) Exists(_ context.Context, c Change) (bool, error) { return c.Name != "b", nil }

func TestReplayGoesBackwardsAndKeepsWhatFails(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger"))
	for _, n := range []string{"a", "b", "c"} {
		record(t, l, Link, n, "")
	}
	record(t, l, Package, "qemu", "")
	h := &hostStub{refuse: "b"}
	missing, err := l.Missing(t.Context(), h)
	if err != nil || len(missing) != 1 || missing[0].Name != "b" {
		t.Fatalf("missing %v %v", missing, err)
	}
	noPackages := func(c Change) bool { return c.Kind != Package }
	if _, err := l.Replay(t.Context(), h, noPackages); err == nil {
		t.Fatal("the failure was swallowed")
	}
	if d := cmp.Diff([]string{"c", "a"}, h.order); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff([]string{"link b=", "package qemu="}, names(t, l)); d != "" {
		t.Fatal(d)
	}
}

func FuzzParse(f *testing.F) {
	text, err := render([]line{{opMade, Change{Kind: Link, Name: "a", Old: "x"}}, {opUndone, Change{Kind: Link, Name: "a"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)-3])
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, good, err := parse(b)
		if err != nil {
			return
		}
		if good > len(b) {
			t.Fatal("good bytes beyond the end")
		}
		again, n, err := parse(b[:good])
		if err != nil || n != good || len(again) != len(lines) {
			t.Fatalf("the good part does not parse to the same: %v %d %d", err, n, len(again))
		}
		standing(lines)
	})
}
