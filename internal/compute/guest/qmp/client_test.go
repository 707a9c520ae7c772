package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a QEMU without a machine, by far the cheapest that has a monitor.
func start(t *testing.T) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qmp")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "none", "-display", "none",
		"-chardev", "socket,id=qmp,fd=3,server=on,wait=off", "-mon", "chardev=qmp,mode=control")
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, path) // before QEMU listens: the socket is there already
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = file.Close(), l.Close()
	return c
}

func TestRealMonitor(t *testing.T) {
	t.Parallel()
	c, ctx := start(t), t.Context()
	if c.Version().Major < 6 {
		t.Errorf("version %+v", c.Version())
	}
	var status struct{ Status string }
	if err := c.Execute(ctx, "query-status", nil, &status); err != nil || status.Status == "" {
		t.Errorf("status %+v, error %v", status, err)
	}
	var refused *Error
	if err := c.Execute(ctx, "no-such-command", nil, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" {
		t.Errorf("unknown command: %v", err)
	}
	var sets []struct {
		FDSetID int `json:"fdset-id"`
	}
	err := c.ExecuteFile(ctx, "add-fd", map[string]any{"fdset-id": 7}, nil, os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Execute(ctx, "query-fdsets", nil, &sets); err != nil || len(sets) != 1 || sets[0].FDSetID != 7 {
		t.Errorf("descriptor sets %+v, error %v", sets, err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := c.ExecuteOOB(ctx, "query-status", nil, nil); i%2 == 1 && err == nil {
				t.Error("query-status does not allow out-of-band execution")
			}
			if err := c.Execute(ctx, "query-name", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	events := c.Subscribe("SHUTDOWN")
	if err := c.Execute(ctx, "quit", nil, nil); err != nil {
		t.Error(err)
	}
	if e, err := events.Next(ctx); err != nil || !strings.Contains(string(e.Data), "host-qmp-quit") || time.Since(e.At) > time.Minute {
		t.Errorf("event %+v, error %v", e, err)
	}
	<-c.Done()
	if err := c.Execute(ctx, "query-status", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := events.Next(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("events after the end: %v", err)
	}
}

// fake is the other end of a connection, played by the test.
func fake(t *testing.T, play func(in *bufio.Scanner, out net.Conn)) (*Client, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fake")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		play(bufio.NewScanner(conn), conn)
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := Dial(ctx, path)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

const greeting = `{"QMP":{"version":{"qemu":{"major":7}},"capabilities":["oob"]}}` + "\n"

func requestID(t *testing.T, in *bufio.Scanner) uint64 {
	var r request
	if !in.Scan() || json.Unmarshal(in.Bytes(), &r) != nil {
		t.Error("no request")
	}
	return r.ID
}

func TestSilenceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	if _, err := fake(t, func(*bufio.Scanner, net.Conn) { <-release }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a greeting: %v", err)
	}
	close(release)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := fake(t, func(in *bufio.Scanner, out net.Conn) {
		_, _ = fmt.Fprint(out, greeting)
		_, _ = fmt.Fprintf(out, `{"return":{},"id":%d}`+"\n", requestID(t, in))
		late := requestID(t, in) // never answered in time
		cancel()
		second := requestID(t, in)
		_, _ = fmt.Fprintf(out, `{"return":{"n":2},"id":%d}`+"\n"+`{"return":{"n":1},"id":%d}`+"\n", second, late)
		in.Scan()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Execute(ctx, "slow", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("silent command: %v", err)
	}
	var got struct{ N int }
	if err := c.Execute(t.Context(), "next", nil, &got); err != nil || got.N != 2 {
		t.Errorf("answer %+v, error %v: the late answer of another command must not be taken", got, err)
	}
}

func TestGarbageEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, garbage := range map[string]string{
		"not JSON":      "HTTP/1.0 400\n",
		"endless line":  strings.Repeat("x", maxLine+1),
		"parser's word": `{"error":{"class":"GenericError","desc":"JSON parse error"}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := fake(t, func(in *bufio.Scanner, out net.Conn) {
				_, _ = fmt.Fprint(out, greeting)
				_, _ = fmt.Fprintf(out, `{"return":{},"id":%d}`+"\n", requestID(t, in))
				requestID(t, in)
				_, _ = fmt.Fprint(out, garbage)
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Execute(t.Context(), "query-status", nil, nil); !errors.Is(err, ErrClosed) {
				t.Errorf("error %v", err)
			}
		})
	}
}
