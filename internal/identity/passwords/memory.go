package passwords

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// resting is how long memory that no hash is computed in stays.
	resting = 5 * time.Second
	// hugePage is how large pages of memory are that the system counts as one: blocks
	// are read in no order, and finding a page's place takes as long as reading it.
	hugePage = 2 << 20
)

// memory is rooms for hashes, kept for the next ones while they come. Safe for
// concurrent use.
type memory struct {
	blocks int // of a room

	mu    sync.Mutex
	free  []*room
	sweep *time.Timer // of those that are free; nil: none is set
}

// room is memory outside of the collector's.
type room struct {
	blocks []block
	mapped []byte // nil: the collector's after all
}

func (m *memory) take() *room {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		r := m.free[n-1]
		m.free = m.free[:n-1]
		return r
	}
	return newRoom(m.blocks)
}

func (m *memory) give(r *room) {
	if r.mapped == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, r)
	if m.sweep == nil {
		m.sweep = time.AfterFunc(resting, m.drop)
		return
	}
	m.sweep.Reset(resting)
}

// drop gives back what is free.
func (m *memory) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.free {
		_ = unix.Munmap(r.mapped) // what was mapped can be unmapped
	}
	m.free = nil
}

// newRoom takes memory from the system, in large pages if it has them.
func newRoom(blocks int) *room {
	size := (blocks*int(unsafe.Sizeof(block{})) + hugePage - 1) / hugePage * hugePage
	mapped, err := unix.Mmap(-1, 0, size+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return &room{blocks: make([]block, blocks)}
	}
	start := -int(uintptr(unsafe.Pointer(&mapped[0]))) & (hugePage - 1)
	aligned := mapped[start : start+size]
	_ = unix.Madvise(aligned, unix.MADV_HUGEPAGE) // without, pages are small
	return &room{blocks: unsafe.Slice((*block)(unsafe.Pointer(&aligned[0])), blocks), mapped: mapped}
}
