package reconcile_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/reconcile"
)

func start(t *testing.T, l *reconcile.Loop) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done; goleak.VerifyNone(t) })
}

func idle(t *testing.T, l *reconcile.Loop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestRunsAtStartWhenPokedAndPeriodically(t *testing.T) {
	fake := clock.NewFake(time.Unix(1e9, 0))
	var runs atomic.Int64
	l := reconcile.New(fake, nil, reconcile.Reconciler{Name: "a", Every: time.Hour, Run: func(context.Context) error { runs.Add(1); return nil }})
	start(t, l)
	idle(t, l)
	if n := runs.Load(); n != 1 {
		t.Fatalf("%d runs at the start", n)
	}
	l.Poke("a")
	l.Poke("nobody")
	idle(t, l)
	if n := runs.Load(); n != 2 {
		t.Fatalf("%d runs after a poke", n)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runs.Load() < 3 && time.Now().Before(deadline) {
		fake.Advance(10 * time.Minute)
	}
	if runs.Load() < 3 {
		t.Fatal("no periodic run")
	}
}

// A poke during a run causes one more, and runs never overlap.
func TestPokesDuringARunAreNotLost(t *testing.T) {
	var runs, at atomic.Int64
	held, release := make(chan struct{}), make(chan struct{})
	l := reconcile.New(clock.Real{}, nil, reconcile.Reconciler{Name: "a", Run: func(context.Context) error {
		if at.Add(1) > 1 {
			t.Error("two runs at once")
		}
		defer at.Add(-1)
		if runs.Add(1) == 1 {
			close(held)
			<-release
		}
		return nil
	}})
	start(t, l)
	<-held
	for range 10 {
		l.Poke("a")
	}
	close(release)
	idle(t, l)
	if n := runs.Load(); n != 2 {
		t.Errorf("%d runs", n)
	}
}

func TestFailuresAreTriedAgain(t *testing.T) {
	fake := clock.NewFake(time.Unix(1e9, 0))
	var runs atomic.Int64
	l := reconcile.New(fake, nil, reconcile.Reconciler{Name: "a", Every: 24 * time.Hour, Run: func(context.Context) error {
		switch runs.Add(1) {
		case 1:
			return errors.New("no")
		case 2:
			panic("defect")
		}
		return nil
	}}, reconcile.Reconciler{Name: "b", Run: func(context.Context) error { return nil }})
	start(t, l)
	deadline := time.Now().Add(10 * time.Second)
	for runs.Load() < 3 && time.Now().Before(deadline) {
		fake.Advance(time.Second)
	}
	idle(t, l)
	if n := runs.Load(); n != 3 {
		t.Errorf("%d runs", n)
	}
	if s := l.Stats(); len(s) != 2 || s[0].Name != "a" || s[0].Runs != 3 || s[0].Failures != 2 || s[0].Last != nil || s[1].Failures != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestIdleTellsWhoFails(t *testing.T) {
	l := reconcile.New(clock.NewFake(time.Unix(1e9, 0)), nil, reconcile.Reconciler{Name: "a", Run: func(context.Context) error { return errors.New("broken") }})
	start(t, l)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := l.Idle(ctx); err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("idle: %v", err)
	}
}
