package admission

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
)

func config() Config {
	return Config{Clock: clock.Real{}, Reads: Rate{100, 50}, Writes: Rate{10, 5}, Bytes: Rate{1000, 1000}, Strangers: Rate{10, 5},
		Open: 40, Places: 8, Alone: 6, Share: 2}
}

func enter(t *testing.T, g *Gate, id string, kind Kind) *Turn {
	t.Helper()
	turn, err := g.Admit(t.Context(), Visitor{ID: id, Address: "192.0.2.1:5", Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// took tells how long something took on the bubble's clock.
func took(f func()) time.Duration {
	c := clock.Real{}
	began := c.Now()
	f()
	return c.Now().Sub(began)
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(config())
		if d := took(func() {
			for range 5 {
				enter(t, g, "a", Write).Leave(0)
			}
		}); d != 0 {
			t.Errorf("a burst waited %v", d)
		}
		if d := took(func() { enter(t, g, "a", Write).Leave(0) }); d != 100*time.Millisecond {
			t.Errorf("the request beyond the burst waited %v, want a tenth of a second", d)
		}
		if d := took(func() {
			enter(t, g, "b", Write).Leave(0)
			enter(t, g, "a", Read).Leave(0)
			enter(t, g, "a", Delete).Leave(0)
		}); d != 0 {
			t.Errorf("others, reads and deletes waited %v", d)
		}
		refused := 0
		results := make(chan error)
		for range 30 {
			go func() {
				turn, err := g.Admit(t.Context(), Visitor{ID: "a", Kind: Write})
				if err == nil {
					turn.Leave(0)
				}
				results <- err
			}()
		}
		if d := took(func() {
			for range 30 {
				if err := <-results; fault.Is(err, fault.RateLimited) {
					refused++
				}
			}
		}); d != time.Second || refused < 15 || refused == 30 {
			t.Errorf("%d of 30 refused after %v", refused, d)
		}
	})
}

func TestBytesAreChargedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(config())
		enter(t, g, "a", Read).Leave(1500)
		if d := took(func() { enter(t, g, "a", Read).Leave(0) }); d != 500*time.Millisecond {
			t.Errorf("waited %v for bytes", d)
		}
		enter(t, g, "a", Read).Leave(1 << 50)
		if d := took(func() { enter(t, g, "a", Delete).Leave(0) }); d != 0 {
			t.Errorf("a delete waited %v for bytes", d)
		}
		<-clock.Real{}.After(2 * time.Minute)
		if d := took(func() { enter(t, g, "a", Read).Leave(0) }); d != 0 {
			t.Errorf("debt outlives a minute: %v", d)
		}
	})
}

func TestOpenRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(config())
		var turns []*Turn
		for range 40 {
			turns = append(turns, enter(t, g, "a", Read))
		}
		if _, err := g.Admit(t.Context(), Visitor{ID: "a"}); !fault.Is(err, fault.RateLimited) {
			t.Fatalf("the 41st open request: %v", err)
		}
		enter(t, g, "b", Read).Leave(0)
		turns[0].Leave(0)
		enter(t, g, "a", Read).Leave(0)
	})
}

// running starts n requests of a caller that keep their places until the
// channel closes; started counts those that have one.
func running(t *testing.T, g *Gate, id string, kind Kind, n int, until chan struct{}) (started chan string) {
	started = make(chan string, n)
	for range n {
		turn := enter(t, g, id, kind)
		go func() {
			if turn.Run(context.Background()) == nil {
				started <- id
				<-until
			}
			turn.Leave(0)
		}()
	}
	synctest.Wait()
	return started
}

func TestPlacesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, until := New(config()), make(chan struct{})
		a := running(t, g, "a", Read, 20, until)
		if len(a) != 6 {
			t.Errorf("alone, a caller has %d places of 6", len(a))
		}
		b := running(t, g, "b", Read, 20, until)
		if len(b) != 2 {
			t.Errorf("beside another, a caller has %d places of 2", len(b))
		}
		if d := running(t, g, "b", Delete, 4, until); len(d) != 2 {
			t.Errorf("%d deletes run in the 2 spare places", len(d))
		}
		close(until)
		synctest.Wait()
		if g.Waiting() != 0 || g.work.busy != 0 || len(g.work.ring) != 0 {
			t.Errorf("left: %d waiting, %d busy", g.Waiting(), g.work.busy)
		}
	})
}

// A flood of one caller holds another up by the work before it in the ring,
// never by the length of the flood's queue.
func TestFreedPlacesGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Places, cfg.Alone, cfg.Share = 1, 1, 1
		g, order := New(cfg), make(chan string, 64)
		hold := enter(t, g, "a", Read)
		if err := hold.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"a", "a", "a", "a", "b", "b", "c"} {
			turn := enter(t, g, id, Read)
			go func() {
				if turn.Run(context.Background()) == nil {
					order <- id
				}
				turn.Leave(0)
			}()
			synctest.Wait()
		}
		hold.Leave(0)
		synctest.Wait()
		got := ""
		for len(order) > 0 {
			got += <-order
		}
		if got != "abcabaa" {
			t.Errorf("served in the order %s", got)
		}
	})
}

// Beside others a caller who has more to ask than places works half the time;
// alone, and to whoever asks one thing after the other, nothing of it happens.
func TestFloodsPause(t *testing.T) {
	flood := func(t *testing.T, g *Gate) time.Duration {
		done := make(chan struct{}, 4)
		return took(func() {
			for range 4 {
				turn := enter(t, g, "a", Read)
				go func() {
					if turn.Run(context.Background()) == nil {
						<-clock.Real{}.After(20 * time.Millisecond)
					}
					turn.Leave(0)
					done <- struct{}{}
				}()
			}
			for range 4 {
				<-done
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Places, cfg.Alone, cfg.Share = 1, 1, 1
		g := New(cfg)
		if d := flood(t, g); d != 80*time.Millisecond {
			t.Errorf("alone it took %v, want 4 times 20 ms", d)
		}
		enter(t, g, "b", Read).Leave(0)
		if d := flood(t, g); d != 140*time.Millisecond {
			t.Errorf("beside another it took %v, want 4 times 20 ms with 3 pauses as long", d)
		}
		if d := took(func() {
			turn := enter(t, g, "b", Read)
			if err := turn.Run(t.Context()); err != nil {
				t.Error(err)
			}
			turn.Leave(0)
		}); d != 0 {
			t.Errorf("the other waited %v", d)
		}
	})
}

// TestFloodsGiveWay (I-36): between the requests of a flood other threads come
// first, while others ask; who asks one thing after the other keeps his.
func TestFloodsGiveWay(t *testing.T) {
	for _, others := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			gave := map[string]int{}
			now := ""
			cfg := config()
			cfg.Places, cfg.Alone, cfg.Share, cfg.GiveWay = 1, 1, 1, func() { gave[now]++ }
			g := New(cfg)
			one := enter(t, g, "flood", Read)
			if err := one.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			until := make(chan struct{})
			running(t, g, "flood", Read, 1, until)
			defer close(until)
			if others {
				now = "other"
				enter(t, g, "other", Read).Leave(0)
			}
			now = "flood"
			one.Rest()
			one.Leave(0)
			if want := map[bool]int{true: 1}[others]; gave["flood"] != want || gave["other"] != 0 {
				t.Errorf("others %v: gave way %v", others, gave)
			}
		})
	}
}

func TestLongRequestsGiveTheirPlacesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, until := New(config()), make(chan struct{})
		running(t, g, "a", Read, 6, until)
		turn := enter(t, g, "a", Read)
		if d := took(func() {
			if err := turn.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}); d != long {
			t.Errorf("waited %v behind requests that hang", d)
		}
		turn.Leave(0)
		// No place is left at all, and those who have them do not wait.
		for i := range 3 {
			running(t, g, fmt.Sprint("hog", i), Read, 2, until)
		}
		other := enter(t, g, "b", Read)
		if d := took(func() {
			if err := other.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}); d > 2*long {
			t.Errorf("waited %v for a place of anybody", d)
		}
		other.Leave(0)
		close(until)
		synctest.Wait()
		if g.work.busy != 0 {
			t.Errorf("%d places are lost", g.work.busy)
		}
	})
}

func TestWhoLeavesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Places, cfg.Alone = 1, 1
		g := New(cfg)
		hold := enter(t, g, "a", Read)
		if err := hold.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := enter(t, g, "a", Read)
		done := make(chan error)
		go func() { done <- gone.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !fault.Is(err, fault.Unavailable) {
			t.Errorf("left with %v", err)
		}
		gone.Leave(0)
		hold.Leave(0)
		last := enter(t, g, "a", Read)
		if d := took(func() { _ = last.Run(t.Context()) }); d != 0 || g.Waiting() != 0 {
			t.Errorf("waited %v, %d still wait", d, g.Waiting())
		}
		last.Leave(0)
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(config())
		for i := range 3 * most {
			turn, err := g.Admit(t.Context(), Visitor{Address: fmt.Sprintf("10.%d.%d.%d:99", i>>16, i>>8&255, i&255), Kind: Write})
			if err == nil {
				turn.Leave(0)
			}
		}
		if n := g.Callers(); n > most+1 {
			t.Errorf("%d callers are remembered", n)
		}
		<-clock.Real{}.After(2 * time.Minute)
		enter(t, g, "late", Read).Leave(0)
		if n := g.Callers(); n > 1 {
			t.Errorf("%d callers of long ago are remembered", n)
		}
	})
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{"192.0.2.7:80": "192.0.2.7", "[2001:db8:1:2:3::9]:443": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64",
		"@": "@", "": "", "[::ffff:192.0.2.7]:1": "::ffff:192.0.2.7"} {
		if got := host(address); got != want {
			t.Errorf("%s stands for %s, want %s", address, got, want)
		}
	}
}

func BenchmarkTurn(b *testing.B) {
	cfg := config()
	cfg.Reads, cfg.Bytes = Rate{1e9, 1e9}, Rate{1e12, 1e12}
	g := New(cfg)
	for b.Loop() {
		t, err := g.Admit(b.Context(), Visitor{ID: "a", Kind: Read})
		if err != nil {
			b.Fatal(err)
		}
		if err := t.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		t.Rest()
		t.Leave(100)
	}
}
