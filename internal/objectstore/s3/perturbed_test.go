package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/test/report"
)

// disturbed is a store at whose n-th call something happens, before it or after.
type disturbed struct {
	objectstore.Store
	mu    sync.Mutex
	calls int
	at    func(n int, after bool) error
}

func (d *disturbed) call(do func() error) error {
	d.mu.Lock()
	d.calls++
	n := d.calls
	d.mu.Unlock()
	if err := d.at(n, false); err != nil {
		return err
	}
	return errors.Join(do(), d.at(n, true))
}

func (d *disturbed) Containers(ctx context.Context, account string, l objectstore.Listing) (out []objectstore.ContainerEntry, err error) {
	err = d.call(func() (err error) { out, err = d.Store.Containers(ctx, account, l); return err })
	return out, err
}

func (d *disturbed) Objects(ctx context.Context, account, container string, l objectstore.Listing) (out []objectstore.ObjectEntry, err error) {
	err = d.call(func() (err error) { out, err = d.Store.Objects(ctx, account, container, l); return err })
	return out, err
}

func (d *disturbed) Head(ctx context.Context, k objectstore.Key) (o *objectstore.Object, err error) {
	err = d.call(func() (err error) { o, err = d.Store.Head(ctx, k); return err })
	return o, err
}

func (d *disturbed) Delete(ctx context.Context, k objectstore.Key, check func(*objectstore.Object) error, r event.Record) (o objectstore.Deletion, err error) {
	err = d.call(func() (err error) { o, err = d.Store.Delete(ctx, k, check, r); return err })
	return o, err
}

func (d *disturbed) DeleteContainer(ctx context.Context, account, container string, r event.Record) error {
	return d.call(func() error { return d.Store.DeleteContainer(ctx, account, container, r) })
}

// uploads is a store with parts of uploads that have ended, old and young ones.
type uploads struct {
	t  *testing.T
	st *store.Store
	at *clock.Fake
	d  *disturbed
}

const partsOwner = "AUTH_p"

func newUploads(t *testing.T) *uploads {
	t.Helper()
	u := &uploads{t: t, at: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	u.st = newStore(t, u.at)
	for _, c := range []string{"box", "box+segments", "gone+segments"} {
		if _, _, err := u.st.PutContainer(t.Context(), partsOwner, c, func(*objectstore.Container, bool) error { return nil }, event.Record{}); err != nil {
			t.Fatal(err)
		}
	}
	live, ended := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, n := range []string{"k/" + live, "k/" + live + "/00001", "k/" + ended + "/00001", "k/" + ended + "/00002", "other"} {
		u.put("box+segments", n)
	}
	u.put("gone+segments", "k/"+live)
	u.put("gone+segments", "k/"+live+"/00001")
	u.at.Advance(leftoverAge + time.Minute)
	u.d = &disturbed{Store: u.st, at: func(int, bool) error { return nil }}
	return u
}

func (u *uploads) put(container, name string) {
	u.t.Helper()
	k := objectstore.Key{Account: partsOwner, Container: container, Name: name}
	if _, err := u.st.Put(u.t.Context(), objectstore.Put{Key: k, Size: -1}, strings.NewReader("x")); err != nil {
		u.t.Fatal(err)
	}
}

func (u *uploads) run(ctx context.Context) error {
	return New(Deps{Store: u.d, Clock: u.at, Log: slog.New(slog.DiscardHandler)}).Reconcilers()[0].Run(ctx)
}

func (u *uploads) names() string {
	var out []string
	for _, c := range []string{"box+segments", "gone+segments"} {
		page, err := u.st.Objects(u.t.Context(), partsOwner, c, objectstore.Listing{Limit: 100})
		out = append(out, c, fmt.Sprint(err != nil))
		for _, e := range page {
			out = append(out, e.Object.Name)
		}
	}
	return strings.Join(out, " ")
}

// TestPerturbedLeftovers kills the remover of leftovers at each of its calls of
// the store, runs it two at once, late, and again, and changes what it has read
// before it acts on it (F2).
func TestPerturbedLeftovers(t *testing.T) {
	run := report.Start(t, "F2", 0)
	u := newUploads(t)
	before := u.names()
	if err := u.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, calls := u.names(), u.d.calls
	if want == before || calls < 6 {
		t.Fatalf("it had nothing to do: %s, %d calls", want, calls)
	}
	same := func(u *uploads, how string) {
		t.Helper()
		u.d.at = func(int, bool) error { return nil }
		if err := u.run(t.Context()); err != nil {
			t.Errorf("%s: %v", how, err)
		}
		if got := u.names(); got != want {
			run.Violation("%s: %s, want %s", how, got, want)
		}
	}
	same(u, "repeated")
	step := 3
	if os.Getenv("MEK_SOAK") != "" {
		step = 1
	}
	for n := 1; n <= calls; n += step {
		for _, after := range []bool{false, true} {
			u := newUploads(t)
			ctx, die := context.WithCancel(t.Context())
			dead := false
			u.d.at = func(at int, then bool) error {
				if dead = dead || at == n && then == after; dead {
					die()
					return errors.New("the server is dead")
				}
				return nil
			}
			_ = u.run(ctx) // it is dead
			run.Fault("reconciler killed at a call", 1)
			same(u, fmt.Sprint("killed at call ", n, ", after it: ", after))
		}
	}
	u = newUploads(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { _ = u.run(t.Context()) }) // one may find what the other has just removed
	}
	both.Wait()
	run.Fault("two reconcilers at once", 1)
	same(u, "two at once")
	u = newUploads(t)
	late, cancel := context.WithCancel(t.Context())
	cancel()
	_ = u.run(late)
	run.Fault("reconciler late", 1)
	same(u, "late")
	stale(t, run, calls, step)
}

// stale puts parts anew before each call: what is young stays.
func stale(t *testing.T, run *report.Run, calls, step int) {
	again := "k/" + strings.Repeat("b", 32) + "/00002"
	for n := 1; n <= calls; n += step {
		u := newUploads(t)
		anew := false
		u.d.at = func(at int, after bool) error {
			if at == n && !after && strings.Contains(u.names(), again) {
				u.put("box+segments", again)
				anew = true
			}
			return nil
		}
		if err := u.run(t.Context()); err != nil {
			t.Errorf("stale at call %d: %v", n, err)
		}
		run.Fault("stale read", 1)
		if anew && !strings.Contains(u.names(), again) {
			run.Violation("a part that was put anew before call %d is gone: %s", n, u.names())
		}
	}
}
