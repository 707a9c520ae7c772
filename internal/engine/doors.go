package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Doors are listening sockets that outlive the process which answers at them:
// whoever starts it holds them too, so that connections wait in the kernel while
// it is started again, where they would be refused. A process inherits them in
// the order of their addresses, from descriptor 3 on. Safe for concurrent use.
type Doors struct {
	addresses []string

	mu   sync.Mutex
	held []int // descriptors, by address; -1: not open
}

// NewDoors names addresses, HOST:PORT each. Nothing is opened yet.
func NewDoors(addresses ...string) *Doors {
	return &Doors{addresses: addresses, held: slices.Repeat([]int{-1}, len(addresses))}
}

// files are copies for a process that is about to start; what is not open is opened.
func (d *Doors) files() (out []*os.File, err error) {
	if d == nil {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, address := range d.addresses {
		if d.held[i] < 0 {
			if d.held[i], err = listen(address); err != nil {
				closeAll(out)
				return nil, fmt.Errorf("listen on %s: %w", address, err)
			}
		}
		fd, err := unix.FcntlInt(uintptr(d.held[i]), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("listener of %s: %w", address, err)
		}
		out = append(out, os.NewFile(uintptr(fd), "listener of "+address))
	}
	return out, nil
}

// listen opens a socket of its own descriptor; -1 with an error.
func listen(address string) (int, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return -1, err
	}
	defer l.Close() // the copy keeps it open
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	return fd, errors.Join(err, failed)
}

// take copies the sockets of a running process that somebody else has started:
// before us, or of a release that held none.
func (d *Doors) take(pid int) error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.held, -1) {
		return nil
	}
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("sockets of process %d: %w", pid, err)
	}
	defer unix.Close(process)
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sockets of process %d: %w", pid, err)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { // listeners are among the first
		return cmp.Or(cmp.Compare(len(a.Name()), len(b.Name())), cmp.Compare(a.Name(), b.Name()))
	})
	for _, e := range entries {
		if !slices.Contains(d.held, -1) {
			break
		}
		fd, err := strconv.Atoi(e.Name())
		if to, gone := os.Readlink(filepath.Join(dir, e.Name())); err != nil || gone != nil || !strings.HasPrefix(to, "socket:") {
			continue
		}
		own, err := unix.PidfdGetfd(process, fd, 0)
		if errors.Is(err, syscall.EPERM) {
			return fmt.Errorf("sockets of process %d: %w", pid, err)
		}
		if err == nil && !d.keep(own) {
			err = unix.Close(own)
		}
		if err != nil && !errors.Is(err, syscall.EBADF) { // it closed that one meanwhile
			return fmt.Errorf("sockets of process %d: %w", pid, err)
		}
	}
	return nil
}

// keep tells whether a socket is one of the doors, and holds it then.
func (d *Doors) keep(fd int) bool {
	if yes, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || yes != 1 {
		return false
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	for i, address := range d.addresses {
		if d.held[i] < 0 && answersAt(name, address) {
			d.held[i] = fd
			return true
		}
	}
	return false
}

func answersAt(name unix.Sockaddr, address string) bool {
	var is net.TCPAddr
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		is = net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		is = net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	default:
		return false
	}
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || want.Port != is.Port {
		return false
	}
	return want.IP.Equal(is.IP) || is.IP.IsUnspecified() && (want.IP == nil || want.IP.IsUnspecified())
}

// Close lets go of them: what nobody answers at refuses connections again.
func (d *Doors) Close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, fd := range d.held {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing was written through it
			d.held[i] = -1
		}
	}
}
