package testbed

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// maxFrame is more than any frame: segments are not merged on these taps.
const maxFrame = 16 << 10

// wire is the switch between machines.
type wire struct {
	mu    sync.Mutex
	ports map[int]*os.File
	table map[[6]byte]int // where a hardware address was last seen
	rules map[[2]int]rule // by sender and receiver
	rand  *rand.Rand
	work  sync.WaitGroup
}

// rule is what happens to frames from one machine to another.
type rule struct {
	cut   bool
	loss  float64
	delay time.Duration
}

func newWire(seed uint64) *wire {
	return &wire{ports: map[int]*os.File{}, table: map[[6]byte]int{}, rules: map[[2]int]rule{}, rand: rand.New(rand.NewPCG(seed, 7))}
}

// plug makes the link eth0 in a namespace and connects it.
func (w *wire) plug(n int, namespace string) error {
	port, err := openTap(namespace, "eth0")
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.ports[n] = port
	w.mu.Unlock()
	w.work.Go(func() { w.read(n, port) })
	return nil
}

// unplug ends a link; it vanishes from its namespace.
func (w *wire) unplug(n int) {
	w.mu.Lock()
	port := w.ports[n]
	delete(w.ports, n)
	w.mu.Unlock()
	if port != nil {
		_ = port.Close() // nothing is left to write
	}
}

func (w *wire) close() {
	w.mu.Lock()
	numbers := make([]int, 0, len(w.ports))
	for n := range w.ports {
		numbers = append(numbers, n)
	}
	w.mu.Unlock()
	for _, n := range numbers {
		w.unplug(n)
	}
	w.work.Wait()
}

func (w *wire) read(from int, port *os.File) {
	frame := make([]byte, maxFrame)
	for {
		n, err := port.Read(frame)
		if err != nil {
			return // unplugged
		}
		if n >= 14 {
			w.forward(from, frame[:n])
		}
	}
}

// forward sends a frame where its receiver was last seen, or everywhere.
func (w *wire) forward(from int, frame []byte) {
	to, source := [6]byte(frame[:6]), [6]byte(frame[6:12])
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table[source] = from
	if n, known := w.table[to]; known && to[0]&1 == 0 {
		w.deliver(from, n, frame)
		return
	}
	for n := range w.ports {
		if n != from {
			w.deliver(from, n, frame)
		}
	}
}

// deliver writes a frame to a port, if the rule lets it. The caller holds mu.
func (w *wire) deliver(from, to int, frame []byte) {
	port, r := w.ports[to], w.rules[[2]int{from, to}]
	if port == nil || r.cut || r.loss > 0 && w.rand.Float64() < r.loss {
		return
	}
	if r.delay == 0 {
		_, _ = port.Write(frame) // a link that is going, or full: frames get lost
		return
	}
	late := append([]byte(nil), frame...)
	time.AfterFunc(r.delay, func() { _, _ = port.Write(late) }) // the same
}

// set gives a direction its rule.
func (w *wire) set(from, to int, change func(*rule)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rules[[2]int{from, to}]
	change(&r)
	w.rules[[2]int{from, to}] = r
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = map[[2]int]rule{}
}

// within runs f on a thread in a namespace. The thread ends with it.
func within(namespace string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		handle, err := netns.GetFromName(namespace)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// openTap makes a link in a namespace, whose other end is the file.
func openTap(namespace, name string) (file *os.File, err error) {
	err = within(namespace, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open tun device: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			_ = unix.Close(fd) // the first error tells
			return fmt.Errorf("make link %s: %w", name, err)
		}
		file = os.NewFile(uintptr(fd), "tap:"+name)
		return nil
	})
	return file, err
}
