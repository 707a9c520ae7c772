package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// The console log is cut to consoleKeep once it is larger than consoleMost.
const (
	consoleKeep = 1 << 20
	consoleMost = 2 << 20
	tendEvery   = 5 * time.Second
	pruneEvery  = 720 // rounds of tendEvery: an hour
)

// tend looks after what grows by itself: console logs and unused images.
func (d *Driver) tend() {
	for round := 0; ; round++ {
		select {
		case <-d.ctx.Done():
			return
		case <-d.cfg.Clock.After(tendEvery):
		}
		used := map[string]bool{}
		for _, m := range d.all() {
			m.imagesInUse(used)
			if err := trimLog(filepath.Join(m.dir, consoleFile)); err != nil {
				d.cfg.Log.Warn("cannot cut a console log", "guest", m.id, "error", err) // tried again in a moment
			}
		}
		if round%pruneEvery == 0 {
			if err := d.images.prune(used); err != nil {
				d.cfg.Log.Warn("cannot clear the image cache", "error", err) // tried again in an hour
			}
		}
	}
}

func (d *Driver) all() []*machine {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*machine, 0, len(d.machines))
	for _, m := range d.machines {
		all = append(all, m)
	}
	return all
}

func (m *machine) imagesInUse(used map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range []*guest.Spec{m.rec.Spec, m.rec.Process.spec(), m.rec.Saved.spec()} {
		if s == nil {
			continue
		}
		for _, d := range s.Disks {
			if d.ImageID != "" {
				used[imageFile(d.ImageID, d.ImageFormat)] = true
			}
		}
	}
}

func (s *started) spec() *guest.Spec {
	if s == nil {
		return nil
	}
	return &s.Spec
}

// trimLog cuts the beginning of a log that QEMU goes on appending to. File
// systems that can take blocks out of the front lose nothing; elsewhere what
// is written between copying and cutting is lost.
func trimLog(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Size() <= consoleMost) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer closeAll(f)
	const block = 64 << 10 // a multiple of any block size
	cut := (info.Size() - consoleKeep) / block * block
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, cut) == nil {
		return nil
	}
	tail := make([]byte, consoleKeep)
	if _, err := f.ReadAt(tail, info.Size()-consoleKeep); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.Write(tail)
	return err
}

// ConsoleLog is the end of what the guest wrote to its first serial port.
func (d *Driver) ConsoleLog(_ context.Context, guestID string, lines int) ([]byte, error) {
	m, err := d.find(guestID)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(m.dir, consoleFile))
	if errors.Is(err, fs.ErrNotExist) {
		return []byte{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the console log: %w", err)
	}
	defer closeAll(f)
	b, err := io.ReadAll(io.LimitReader(f, 2*consoleMost))
	if err != nil {
		return nil, fmt.Errorf("read the console log: %w", err)
	}
	return lastLines(b, lines), nil
}

// lastLines is the end of a text, all of it for n < 0.
func lastLines(b []byte, n int) []byte {
	if n < 0 {
		return b
	}
	at := len(b)
	for at > 0 && n > 0 {
		n--
		at = bytes.LastIndexByte(b[:at-1], '\n') + 1
	}
	return b[at:]
}

// VNC connects to the screen.
func (d *Driver) VNC(ctx context.Context, guestID string) (io.ReadWriteCloser, error) {
	m, err := d.find(guestID)
	if err != nil {
		return nil, err
	}
	client, err := m.monitor()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(strings.Join(m.facts().Consoles, " "), "vnc") {
		return nil, fault.Conflictf("the server has no screen")
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer closeAll(theirs)
	name := "vnc-" + id.Hex()
	err = client.ExecuteFile(ctx, "getfd", map[string]any{"fdname": name}, nil, theirs)
	if err == nil {
		err = client.Execute(ctx, "add_client", map[string]any{"protocol": "vnc", "fdname": name, "skipauth": true}, nil)
	}
	if err != nil {
		closeAll(ours)
		return nil, refused(err, "the server's screen cannot be shown")
	}
	return ours, nil
}

// socketPair is a connection with both ends here.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a connection: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "screen")
	defer closeAll(mine)
	theirs = os.NewFile(uintptr(fds[1]), "screen")
	if ours, err = net.FileConn(mine); err != nil {
		closeAll(theirs)
		return nil, nil, fmt.Errorf("make a connection: %w", err)
	}
	return ours, theirs, nil
}

// Serial connects to the first serial port.
func (d *Driver) Serial(ctx context.Context, guestID string) (io.ReadWriteCloser, error) {
	m, err := d.find(guestID)
	if err != nil {
		return nil, err
	}
	if _, err := m.monitor(); err != nil {
		return nil, err
	}
	var dial net.Dialer
	conn, err := dial.DialContext(ctx, "unix", filepath.Join(m.run, serialSocket))
	if err != nil {
		return nil, fault.Unavailablef("the serial console cannot be reached").Because(err)
	}
	return conn, nil
}

// InjectNMI sends a non-maskable interrupt.
func (d *Driver) InjectNMI(ctx context.Context, guestID string) error {
	m, err := d.find(guestID)
	if err != nil {
		return err
	}
	return refused(m.command(ctx, "inject-nmi", nil, nil), "the server cannot be interrupted")
}
