package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/report"
)

// wallClock is a machine's clock that somebody sets: timers and the steady
// reading go on all the same.
type wallClock struct {
	clock.Real
	by atomic.Int64
}

// Now has no monotonic reading: whoever measures by it sees the clock being set.
func (w *wallClock) Now() time.Time {
	return w.Real.Now().Round(0).Add(time.Duration(w.by.Load()))
}

// TestClocks sets the server's clock while servers are being made, on and back,
// at once and bit by bit. No lease ends by that and none is prolonged (I-41),
// nobody is thrown out before the token's time, and who logs in afterwards is in.
func TestClocks(t *testing.T) {
	r := report.Start(t, "F8", 0)
	base := prepare(t)
	for name, by := range map[string]time.Duration{"an hour on": time.Hour, "an hour back": -time.Hour, "a day on": 24 * time.Hour, "a day back": -24 * time.Hour,
		"within a lease, on": 2 * time.Second, "within a lease, back": -2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clocks(t, base, r, func(now *wallClock) { now.by.Store(int64(by)) })
			})
		})
		r.Fault("clock set "+strings.TrimPrefix(name, "within a lease, "), 1)
	}
	for _, each := range []time.Duration{200 * time.Millisecond, -200 * time.Millisecond} {
		t.Run(fmt.Sprintf("by %v a second", each), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clocks(t, base, r, func(now *wallClock) {
					for range 60 {
						now.by.Add(int64(each))
						time.Sleep(time.Second)
					}
				})
			})
		})
		r.Fault("clock slewed", 1)
	}
}

func clocks(t *testing.T, base *template, r *report.Run, set func(now *wallClock)) {
	w := newWorld(t, 1, base)
	time.Sleep(25 * time.Hour) // there is a past to go back to
	w.began = time.Now()
	now := new(wallClock)
	w.srv = startServer(t, w.dir, w.log, now, func(bool) bool { return false })
	for n := range hostCount {
		w.hosts = append(w.hosts, newHost(w, n))
		w.hosts[n].start(t)
	}
	time.Sleep(2 * time.Second)
	token, _ := w.login("demo", demoPassword)
	gone, _ := w.login("demo", demoPassword)
	u := &user{w: w}
	u.boot(8)
	if a, err := w.call(context.Background(), gone, "DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token", gone); err != nil || a.status != http.StatusNoContent {
		w.violation("revoke a token: %v %s", err, a)
	}
	var setting sync.WaitGroup
	setting.Go(func() {
		time.Sleep(100 * time.Millisecond) // some sagas are at work, some wait
		set(now)
	})
	lost := w.watchLeases(30 * time.Second)
	if lost {
		w.violation("I-41: a host that was there lost its lease")
	}
	setting.Wait()
	w.idle()
	for _, s := range rows(w, w.server().db, "SELECT id || ' ' || vm_state || ' ' || task_state FROM compute_servers WHERE vm_state <> 'active' OR task_state <> ''") {
		w.violation("a server that was being made: %s", s)
	}
	fresh, _ := w.login("demo", demoPassword)
	for name, token := range map[string]string{"from before": token, "from after": fresh} {
		if a, err := w.call(context.Background(), token, "GET", "/compute/v2.1/servers", nil); err != nil || a.status != http.StatusOK {
			w.violation("a token %s the clock was set: %v %s", name, err, a)
		}
	}
	if a, err := w.call(context.Background(), gone, "GET", "/compute/v2.1/servers", nil); err != nil || a.status != http.StatusUnauthorized {
		w.violation("I-26: a token that was revoked before the clock was set: %v %s", err, a)
	}
	was := now.by.Swap(int64(configuration("").Identity.TokenLifetime + time.Second)) // it was issued before the clock was set
	if a, err := w.call(context.Background(), token, "GET", "/compute/v2.1/servers", nil); err != nil || a.status != http.StatusUnauthorized {
		w.violation("a token after its time: %v %s", err, a)
	}
	now.by.Store(was)
	w.rest()
	w.check()
	w.close()
	w.figures(r)
	if t.Failed() {
		t.Log(strings.Join(w.trace, "\n"))
	}
}

// boot asks for servers.
func (u *user) boot(n int) {
	for range n {
		u.create(context.Background(), servers, object{"flavorRef": u.w.base.flavors[0], "imageRef": u.w.base.imageID, "networks": []any{object{"uuid": u.w.base.network}}})
	}
}

// watchLeases looks at the hosts' leases for a while.
func (w *world) watchLeases(d time.Duration) (lost bool) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, h := range w.hosts {
			lost = lost || !w.server().hub.Alive(h.name)
		}
	}
	return lost
}
