package peers_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/peers"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// server is one server with a steady clock of its own and a wall clock that is wrong.
type server struct {
	*peers.Peers
	clock *clock.Fake
	hosts []string
}

func newServer(t *testing.T, d *db.DB, name, instance string, wall time.Time) *server {
	t.Helper()
	s := &server{clock: clock.NewFake(wall)}
	s.Peers = peers.New(peers.Config{DB: d, Clock: s.clock, Log: slog.New(slog.DiscardHandler), Hosts: func() []string { return s.hosts },
		Self: peers.Self{Name: name, Instance: instance, URL: "https://" + name}})
	return s
}

func (s *server) mustBeat(t *testing.T) {
	t.Helper()
	if err := s.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// together moves both clocks on, and lets those beat that live.
func together(t *testing.T, d time.Duration, all []*server, beating ...*server) {
	t.Helper()
	for range int(d / time.Second) {
		for _, s := range all {
			s.clock.Advance(time.Second)
		}
		for _, s := range beating {
			s.mustBeat(t)
		}
	}
}

// A server that was stopped is taken for dead by the others only when it takes
// itself for dead already, and comes back in a new term.
func TestAServerThatStopped(t *testing.T) {
	d := dbtest.Postgres(t)
	a := newServer(t, d, "a", "1", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	b := newServer(t, d, "b", "1", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)) // nobody compares clocks
	a.hosts = []string{"h1", "h2"}
	both := []*server{a, b}
	together(t, 3*time.Second, both, a, b)
	term := a.Term()
	if !a.Holds(term) || b.Dead("a") || a.Dead("b") || b.With("h2") != "a" || b.With("h3") != "" || b.With("h1") != "a" || b.URL("a") != "https://a" {
		t.Fatalf("two servers do not know each other: %v %v", b.Dead("a"), b.With("h2"))
	}
	news := 0
	b.OnChange(func() { news++ })
	held := true
	for second := 1; !b.Dead("a"); second++ {
		held = a.Holds(term)
		together(t, time.Second, both, b)
		if second > 30 {
			t.Fatal("it never dies")
		}
	}
	if held || a.Holds(term) {
		t.Error("it held its term when the others took over")
	}
	if news != 1 || b.With("h1") != "" || b.URL("a") != "" {
		t.Errorf("%d times told; a dead server hears hosts: %v", news, b.With("h1"))
	}
	a.mustBeat(t)
	together(t, time.Second, both, a, b)
	if a.Holds(term) || !a.Holds(a.Term()) || b.Dead("a") || news < 2 {
		t.Error("it does not come back in a new term")
	}
}

func TestTwoServersOfOneName(t *testing.T) {
	d := dbtest.Postgres(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	a, again := newServer(t, d, "a", "1", now), newServer(t, d, "a", "2", now)
	a.mustBeat(t)
	again.mustBeat(t) // as after a crash
	again.mustBeat(t)
	if err := a.Beat(t.Context()); !fault.Is(err, fault.Conflict) {
		t.Errorf("the first goes on: %v", err)
	}
}

// Whoever was never seen is dead only to one who has watched for long enough.
func TestAServerNobodySaw(t *testing.T) {
	d := dbtest.Postgres(t)
	a := newServer(t, d, "a", "1", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	together(t, 3*time.Second, []*server{a}, a)
	if a.Dead("x") || a.Dead("a") {
		t.Error("dead before anybody could have seen it")
	}
	together(t, peers.Lease, []*server{a}, a)
	if !a.Dead("x") || a.Dead("a") {
		t.Error("it is not dead")
	}
}

func TestARoleHasOneOwner(t *testing.T) {
	d := dbtest.Postgres(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	a, b := newServer(t, d, "a", "1", now), newServer(t, d, "b", "1", now)
	both := []*server{a, b}
	together(t, 2*time.Second, both, a, b)
	lead := func(s *server) bool {
		t.Helper()
		yes, err := s.Lead(context.Background(), "r")
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if !lead(a) || lead(b) || !lead(a) {
		t.Fatal("two owners or none")
	}
	if owner, err := b.Leader(t.Context(), "r"); owner != "a" || err != nil {
		t.Fatal(owner, err)
	}
	together(t, peers.Fresh, both, b)
	if lead(a) || lead(b) {
		t.Error("a stopped owner leads on, or is followed too early")
	}
	together(t, peers.Lease, both, b)
	if !lead(b) || lead(a) {
		t.Error("nobody follows a dead owner")
	}
	a.mustBeat(t)
	if lead(a) {
		t.Error("it leads again while another does")
	}
}

func TestAloneOnSQLite(t *testing.T) {
	a := newServer(t, dbtest.SQLite(t), "a", "1", time.Now())
	if lead, err := a.Lead(t.Context(), "r"); !a.Alone() || !a.Holds(a.Term()) || a.Dead("b") || !lead || err != nil {
		t.Error("one server alone must not ask anybody")
	}
}
