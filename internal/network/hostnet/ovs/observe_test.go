package ovs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/test/await"
)

// observer collects what comes out of a descriptor.
type observer struct {
	name string
	mu   sync.Mutex
	all  [][]byte
	last time.Time
}

func (o *observer) take(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all, o.last = append(o.all, bytes.Clone(frame)), time.Now()
}

func (o *observer) seen() [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

func (o *observer) quietFor(d time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.last) > d
}

// observe reads frames of a descriptor until the test ends.
func observe(t *testing.T, name string, fd int) *observer {
	t.Helper()
	o, stop, done := &observer{name: name}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			select {
			case <-stop:
				return
			default:
			}
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(fds, 50); n == 0 || err != nil {
				continue
			}
			if n, err := unix.Read(fd, b); err == nil {
				o.take(b[:n])
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return o
}

func observeTap(t *testing.T, name string, f *os.File) *observer {
	t.Helper()
	t.Cleanup(func() { _ = f.Close() })
	return observe(t, name, int(f.Fd()))
}

// observeHost watches every link of the host but these.
func observeHost(t *testing.T, outside string, but ...string) []*observer {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	skip := map[string]bool{}
	for _, name := range but {
		skip[name] = true
	}
	var out []*observer
	for _, l := range links {
		name := l.Attrs().Name
		if skip[name] {
			continue
		}
		what := "the host's " + name
		if name == outside {
			what = "outside"
		}
		out = append(out, observeLink(t, what, l))
	}
	return out
}

// observeLink watches one link of the host.
func observeLink(t *testing.T, what string, l netlink.Link) *observer {
	t.Helper()
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Attrs().Index})
	}
	if err != nil {
		t.Fatalf("listen on %s: %v", what, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return observe(t, what, fd)
}

// marks tell frames apart wherever they turn up.
var markOf = []byte("MeKf")

func mark(i int) []byte { return binary.BigEndian.AppendUint32(bytes.Clone(markOf), uint32(i)) }

// markIn finds a mark; -1: none.
func markIn(frame []byte) int {
	at := bytes.Index(frame, markOf)
	if at < 0 || len(frame) < at+8 {
		return -1
	}
	return int(binary.BigEndian.Uint32(frame[at+4:]))
}

var errNoise = errors.New("frames are still coming")

// settle waits until nothing has come out of any for a while.
func settle(t *testing.T, all []*observer) {
	t.Helper()
	await.Nil(t, "silence", func() error {
		for _, o := range all {
			if !o.quietFor(300 * time.Millisecond) {
				return errNoise
			}
		}
		return nil
	})
}
