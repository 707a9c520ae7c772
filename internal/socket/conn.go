package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// short is how much is read or written without a word to the scheduler: some
// microseconds of copying.
const short = 32 << 10

// Conn is a TCP connection. Safe as net.Conn is.
type Conn struct {
	*net.TCPConn
	in, out direction
}

// direction is one of the two ways of a connection.
type direction struct {
	mu   sync.Mutex
	wait func(ready func(uintptr) bool) error
	call uintptr // of the system

	// While mu is held:
	ready func(uintptr) bool // try, made once
	part  []byte
	n     uintptr
	errno syscall.Errno
}

// Of gives a connection that is used this way, or c itself where it is no TCP.
func Of(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil { // it is closed
		return c
	}
	conn := &Conn{TCPConn: tcp}
	conn.in.wait, conn.in.call = raw.Read, syscall.SYS_READ
	conn.out.wait, conn.out.call = raw.Write, syscall.SYS_WRITE
	conn.in.ready, conn.out.ready = conn.in.try, conn.out.try
	return conn
}

// Read reads what has come, and waits while nothing has.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 || len(p) > short {
		return c.TCPConn.Read(p)
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	n, err := c.in.do(p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write writes all of p, and waits while the system has no room for it.
func (c *Conn) Write(p []byte) (total int, err error) {
	c.out.mu.Lock() // until all of it is written, so that nothing of others comes between
	defer c.out.mu.Unlock()
	if len(p) == 0 || len(p) > short {
		return c.TCPConn.Write(p)
	}
	for total < len(p) && err == nil {
		var n int
		n, err = c.out.do(p[total:])
		total += n
	}
	return total, err
}

// do reads into p or writes of it, once. Under mu.
func (d *direction) do(p []byte) (int, error) {
	d.part = p
	err := d.wait(d.ready)
	d.part = nil // it is the caller's
	if err != nil {
		return 0, err // too late, or closed
	}
	if d.errno != 0 {
		return 0, os.NewSyscallError(d.name(), d.errno)
	}
	return int(d.n), nil
}

// try is false when it would have to wait.
func (d *direction) try(fd uintptr) bool {
	for {
		d.n, _, d.errno = syscall.RawSyscall(d.call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.part))), uintptr(len(d.part)))
		if d.errno != syscall.EINTR {
			return d.errno != syscall.EAGAIN
		}
	}
}

func (d *direction) name() string {
	if d.call == syscall.SYS_READ {
		return "read"
	}
	return "write"
}
