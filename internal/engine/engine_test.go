package engine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/await"
)

// The test binary is its own child: as a daemon that ignores SIGTERM, as one
// that starts another, or as a starter that dies at once.
func TestMain(m *testing.M) {
	switch os.Getenv("ENGINE_TEST") {
	case "":
		os.Exit(m.Run())
	case "stubborn":
		ignore := make(chan os.Signal, 1)
		signal.Notify(ignore, syscall.SIGTERM)
		touch(os.Getenv("READY_FILE"))
		select {}
	case "door":
		answerAtDoor()
	case "starter":
		set, err := NewSet(os.Getenv("SET_DIR"), clock.Real{}, slog.New(slog.DiscardHandler))
		if err == nil {
			_, err = set.Ensure(context.Background(), sleeper("lasting"))
		}
		if err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}

func touch(path string) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		os.Exit(9)
	}
}

func newSet(t *testing.T) *Set {
	t.Helper()
	set, err := NewSet(t.TempDir(), clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		states, err := set.List()
		if err != nil {
			t.Error(err)
		}
		for _, st := range states {
			if err := set.Stop(context.Background(), st.Name, time.Second); err != nil {
				t.Error(err)
			}
		}
	})
	return set
}

func sleeper(name string) Process {
	return Process{Name: name, Path: "/usr/bin/sleep", Args: []string{"3600"}}
}

func ensure(t *testing.T, set *Set, p Process) State {
	t.Helper()
	st, err := set.Ensure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestEnsureStartsOnceAndReplacesWhatChanged(t *testing.T) {
	set := newSet(t)
	first := ensure(t, set, sleeper("a"))
	again := ensure(t, set, sleeper("a"))
	if again.PID != first.PID || !again.Adopted || first.Adopted {
		t.Fatalf("second Ensure: %+v after %+v", again, first)
	}
	changed := sleeper("a")
	changed.Args = []string{"3601"}
	if set.Current(changed) || !set.Current(sleeper("a")) {
		t.Fatal("Current mistakes one description for another")
	}
	other := ensure(t, set, changed)
	if other.PID == first.PID {
		t.Fatal("a changed process was kept")
	}
	await.That(t, "the process is gone", func() bool { return gone(first.PID) })
}

func TestEnsureRunsAgainAfterKill(t *testing.T) {
	set := newSet(t)
	first := ensure(t, set, sleeper("a"))
	waited := make(chan error, 1)
	go func() { waited <- set.Wait(t.Context(), "a") }()
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil && !errors.Is(err, ErrNotRunning) {
		t.Fatal(err)
	}
	if second := ensure(t, set, sleeper("a")); second.PID == first.PID || second.Adopted {
		t.Fatalf("not started anew: %+v", second)
	}
	await.That(t, "the process is gone", func() bool { return gone(first.PID) }) // no zombie either
}

// TestWhoDiesIsNotTakenForOneWhoWorks asks for a process that was killed and that
// the kernel has not ended yet: "kill -9; mek up" on a busy machine.
func TestWhoDiesIsNotTakenForOneWhoWorks(t *testing.T) {
	group := filepath.Join("/sys/fs/cgroup/freezer", "mek-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skip("no frozen processes here:", err)
	}
	t.Cleanup(func() { await.That(t, "the group is empty", func() bool { return os.Remove(group) == nil }) })
	tell := func(file, what string) {
		if err := os.WriteFile(filepath.Join(group, file), []byte(what), 0o644); err != nil {
			t.Error(err)
		}
	}
	set := newSet(t)
	first := ensure(t, set, sleeper("a"))
	tell("cgroup.procs", strconv.Itoa(first.PID))
	tell("freezer.state", "FROZEN")
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if set.Current(sleeper("a")) {
		t.Error("who was killed is said to run")
	}
	second := make(chan State, 1)
	go func() {
		st, err := set.Ensure(t.Context(), sleeper("a"))
		if err != nil {
			t.Error(err)
		}
		second <- st
	}()
	tell("freezer.state", "THAWED")
	if st := <-second; st.PID == first.PID || st.Adopted || !set.Current(sleeper("a")) {
		t.Errorf("not started anew: %+v after %+v", st, first)
	}
}

// TestACopyIsNotAdopted kills a process while a child of it has not executed its
// own program: the child has its parent's command line, marker and, by then, a
// session of its own.
func TestACopyIsNotAdopted(t *testing.T) {
	set := newSet(t)
	file := filepath.Join(t.TempDir(), "child")
	p := Process{Name: "a", Path: "/usr/bin/perl", Args: []string{"-MPOSIX", "-e",
		`if (!fork) { POSIX::setsid(); open(F, ">", "$ARGV[0].new"); print F $$; close F; rename "$ARGV[0].new", $ARGV[0]; alarm 30; sleep 3600; exit } sleep 3600`, file}}
	first := ensure(t, set, p)
	var child int
	await.That(t, "the child leads a session", func() bool {
		text, err := os.ReadFile(file)
		child, _ = strconv.Atoi(string(text))
		return err == nil && child != 0
	})
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.That(t, "the process is gone", func() bool { return gone(first.PID) })
	second := ensure(t, set, p)
	if second.Adopted || second.PID == child {
		t.Errorf("a copy is taken for the process: %+v", second)
	}
}

func TestSurvivesItsStarterAndIsAdopted(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ENGINE_TEST=starter", "SET_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("starter: %v %s", err, out)
	}
	set, err := NewSet(dir, clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	st := ensure(t, set, sleeper("lasting"))
	if !st.Adopted {
		t.Fatal("was not adopted")
	}
	// The starter may also die before its record is durable: the marker remains.
	if err := os.Remove(filepath.Join(dir, "lasting.json")); err != nil {
		t.Fatal(err)
	}
	if found := ensure(t, set, sleeper("lasting")); found.PID != st.PID || !found.Adopted {
		t.Fatalf("not found by its marker: %+v, want pid %d", found, st.PID)
	}
	if err := set.Stop(t.Context(), "lasting", time.Second); err != nil {
		t.Fatal(err)
	}
	await.That(t, "the process is gone", func() bool { return gone(st.PID) })
}

func TestARecycledProcessIDIsNotOurs(t *testing.T) {
	set := newSet(t)
	stranger := exec.Command("/usr/bin/sleep", "3600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	r := record{Name: "a", PID: stranger.Process.Pid, Start: 1, Boot: bootID(), Digest: sleeper("a").digest()}
	if err := set.save(r); err != nil {
		t.Fatal(err)
	}
	if st := ensure(t, set, sleeper("a")); st.PID == stranger.Process.Pid {
		t.Fatal("adopted a stranger")
	}
	if err := set.save(r); err != nil {
		t.Fatal(err)
	}
	if err := set.Stop(t.Context(), "a", time.Second); err != nil {
		t.Fatal(err)
	}
	if gone(stranger.Process.Pid) {
		t.Fatal("killed a stranger")
	}
	if pid, ok := findMarked(set.marker("a"), sleeper("a").argv()); ok { // the true "a", whose record we overwrote
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestStopKillsTheStubborn(t *testing.T) {
	set := newSet(t)
	ready := filepath.Join(t.TempDir(), "ready")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	st := ensure(t, set, Process{Name: "stubborn", Path: exe, Env: []string{"ENGINE_TEST=stubborn", "READY_FILE=" + ready},
		Ready: func(context.Context) error { _, err := os.Stat(ready); return err }})
	if err := set.Stop(t.Context(), "stubborn", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	await.That(t, "the process is gone", func() bool { return gone(st.PID) })
	if got := set.Status("stubborn"); got.Running || got.PID != 0 {
		t.Fatalf("still known: %+v", got)
	}
}

func TestEarlyDeathIsExplained(t *testing.T) {
	set := newSet(t)
	p := Process{Name: "bad", Path: "/bin/ls", Args: []string{"/nowhere-at-all"}, Log: filepath.Join(t.TempDir(), "bad.log"),
		Ready: func(context.Context) error { return errors.New("no answer") }}
	_, err := set.Ensure(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "nowhere-at-all") {
		t.Fatalf("error does not show the cause: %v", err)
	}
}

func TestReadyTimeout(t *testing.T) {
	set := newSet(t)
	p := sleeper("slow")
	p.Ready, p.ReadyTimeout = func(context.Context) error { return errors.New("not listening") }, 30*time.Millisecond
	st, err := set.Ensure(t.Context(), p)
	if !errors.Is(err, context.DeadlineExceeded) || !st.Running {
		t.Fatalf("%+v %v", st, err)
	}
}

func TestNamespaceAndUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	set := newSet(t)
	name := "mkeng" + strconv.Itoa(os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	p := sleeper("inside")
	p.Namespace, p.UID, p.GID = "/run/netns/"+name, 65534, 65534
	st := ensure(t, set, p)
	link := func(who string) string {
		l, err := os.Readlink("/proc/" + who + "/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if link(strconv.Itoa(st.PID)) == link("self") {
		t.Fatal("runs in the starter's network")
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(st.PID) + "/status")
	if err != nil || !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") {
		t.Fatalf("%v\n%s", err, status)
	}
}

func gone(pid int) bool {
	_, err := readStat(pid)
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 2 3"))
	f.Add([]byte("1 () Z"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, line []byte) {
		st, err := parseStat(line)
		if err == nil && st.state == 0 {
			t.Fatalf("accepted without a state: %q", line)
		}
	})
}

// TestNice: a process gets its niceness when it starts, and one that runs
// already gets it without being started anew.
func TestNice(t *testing.T) {
	set, p := newSet(t), sleeper("first")
	first, err := set.Ensure(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	niceness := func(pid int) int {
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(line), ") ")
		n, err := strconv.Atoi(strings.Fields(rest)[16])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	own := niceness(first.PID)
	p.Nice = own + 3
	again, err := set.Ensure(t.Context(), p)
	if err != nil || again.PID != first.PID || niceness(again.PID) != p.Nice {
		t.Errorf("niceness of %d after %d: %d, want %d, %v", again.PID, first.PID, niceness(again.PID), p.Nice, err)
	}
	other := sleeper("second")
	other.Nice = own + 5
	if started, err := set.Ensure(t.Context(), other); err != nil || niceness(started.PID) != other.Nice {
		t.Errorf("niceness at the start: %d, want %d, %v", niceness(started.PID), other.Nice, err)
	}
}
