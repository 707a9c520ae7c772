package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/await"
)

// answerAtDoor is a child that tells who it is at each of its doors.
func answerAtDoor() {
	l, err := net.FileListener(os.NewFile(3, "door"))
	for err == nil {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			_, err = fmt.Fprint(c, os.Getpid())
			err = errors.Join(err, c.Close())
		}
	}
	_, _ = os.Stderr.WriteString(err.Error())
	os.Exit(1)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// whoAnswers asks at a door and waits for the answer: a process id.
func whoAnswers(ctx context.Context, address string) (int, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // wakes the reader below
	defer stop()
	text, err := io.ReadAll(c)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

func door(address string) Process {
	return Process{Name: "door", Path: os.Args[0], Env: []string{"ENGINE_TEST=door"}, Doors: NewDoors(address),
		Ready: func(ctx context.Context) error { _, err := whoAnswers(ctx, address); return err }}
}

func refused(t *testing.T, address string) {
	t.Helper()
	if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%s: %v, want it refused", address, err)
		if err == nil {
			c.Close()
		}
	}
}

// Who asks while a process is started again waits for the next one, also when
// another supervisor than the one that opened the door starts it.
func TestDoorsOutliveTheirProcess(t *testing.T) {
	set, address := newSet(t), freePort(t)
	p := door(address)
	for round := range 3 {
		if round == 2 { // what a new supervisor has: the records alone
			p.Doors.Close()
			p = door(address)
			next, err := NewSet(set.dir, clock.Real{}, set.log)
			if err != nil {
				t.Fatal(err)
			}
			set = next
		}
		st := ensure(t, set, p)
		if adopted := round > 0; st.Adopted != adopted {
			t.Fatalf("round %d: %+v", round, st)
		}
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		await.That(t, "the process is gone", func() bool { return gone(st.PID) })
		type answer struct {
			pid int
			err error
		}
		asked := make(chan answer)
		go func() {
			pid, err := whoAnswers(t.Context(), address)
			asked <- answer{pid, err}
		}()
		next := ensure(t, set, p)
		if got := <-asked; got.err != nil || got.pid != next.PID || next.PID == st.PID {
			t.Fatalf("round %d: %+v answers, not %d", round, got, next.PID)
		}
	}
	changed := p
	changed.Version, changed.Doors = "next", NewDoors(address) // an upgrade, whose supervisor is new too
	next := ensure(t, set, changed)
	if pid, err := whoAnswers(t.Context(), address); err != nil || pid != next.PID {
		t.Errorf("after an upgrade %d answers, not %d: %v", pid, next.PID, err)
	}
}

// A process that does not come up is found out at once, though its door is open,
// and what nobody answers at refuses connections.
func TestDoorsOfWhatDoesNotComeUp(t *testing.T) {
	set, address := newSet(t), freePort(t)
	p := door(address)
	p.Path, p.Env = "/bin/false", nil
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if st, err := set.Ensure(ctx, p); err == nil || ctx.Err() != nil || st.Running {
		t.Errorf("%+v %v %v", st, err, ctx.Err())
	}
	refused(t, address)
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p = door(address)
	p.Doors = NewDoors(freePort(t), address)
	if _, err := set.Ensure(ctx, p); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("at a door that another has: %v", err)
	}
	refused(t, p.Doors.addresses[0])
}
