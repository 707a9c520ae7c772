package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/test/await"
)

func start(t *testing.T, dir string, stages [][]engine.Process) (*engine.Set, context.CancelFunc) {
	t.Helper()
	set, err := engine.NewSet(dir, clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Set: set, Stages: stages, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler)})
	}()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(func() {
		stop()
		for _, stage := range stages {
			for _, p := range stage {
				if err := set.Stop(context.Background(), p.Name, time.Second); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return set, stop
}

func sleeper(name string) engine.Process {
	return engine.Process{Name: name, Path: "/usr/bin/sleep", Args: []string{"1000"}}
}

func TestRestartsWhatDies(t *testing.T) {
	set, _ := start(t, t.TempDir(), [][]engine.Process{{sleeper("a")}})
	await.That(t, "the process runs", func() bool { return set.Status("a").Running })
	first := set.Status("a").PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.That(t, "the process runs", func() bool { st := set.Status("a"); return st.Running && st.PID != first })
}

func TestABrokenStageDoesNotHoldTheNext(t *testing.T) {
	broken := engine.Process{Name: "broken", Path: "/bin/false", Ready: func(context.Context) error { return errors.New("never") }}
	set, _ := start(t, t.TempDir(), [][]engine.Process{{broken}, {sleeper("api")}})
	await.That(t, "the process runs", func() bool { return set.Status("api").Running })
}

func TestProcessesOutliveTheSupervisor(t *testing.T) {
	dir := t.TempDir()
	stages := [][]engine.Process{{sleeper("a")}}
	set, stop := start(t, dir, stages)
	await.That(t, "the process runs", func() bool { return set.Status("a").Running })
	pid := set.Status("a").PID
	stop()
	if !set.Status("a").Running {
		t.Fatal("died with its supervisor")
	}
	again, _ := start(t, dir, stages)
	await.That(t, "the process runs", func() bool { return again.Status("a").Running })
	if again.Status("a").PID != pid {
		t.Fatal("was started a second time")
	}
}
