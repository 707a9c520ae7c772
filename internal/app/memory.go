package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// A login hashes with 19 MiB of memory, and the collector would keep room for
// the next ones: three times what the control plane lives on. So the room that
// a burst left is given back once it is large, or once nobody works.
const (
	memoryPause = time.Second // between two looks, at least
	memoryRoom  = 12 << 20    // bytes that may lie idle
	memoryShare = 100         // of the time, one part at most is spent on giving back
	quietPace   = 1 << 20     // bytes allocated in a second: less is the household's
	quietRoom   = 3 << 20     // bytes that may lie idle then
	quietLooks  = 5           // looks after which work is over, and what it used is let go
)

// returnMemory gives idle memory back to the system until ctx ends.
func returnMemory(ctx context.Context, c clock.Clock) error {
	var h hoard
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(max(pause, memoryPause)):
		}
		looked := pause
		pause = 0
		if h.excessive(heldMemory(), allocatedMemory(), max(looked, memoryPause)) {
			begun := c.Now()
			debug.FreeOSMemory()
			h.kept, pause = heldMemory(), memoryShare*c.Now().Sub(begun)
		}
	}
}

// hoard is what the heap held when memory was given back last, what had been
// allocated in all at the last look, and for how many looks nobody has worked.
type hoard struct {
	kept, allocated uint64
	quiet           int
}

// excessive tells whether enough lies idle to be given back, or work is over;
// since the last look some time has passed.
func (h *hoard) excessive(held, allocated uint64, passed time.Duration) bool {
	room := h.kept/4 + memoryRoom
	if float64(allocated-h.allocated) < quietPace*passed.Seconds() {
		room = quietRoom
		h.quiet++
	} else {
		h.quiet = 0
	}
	h.allocated = allocated
	return held > h.kept+room || h.quiet == quietLooks
}

// heldMemory is what the heap takes from the system, in bytes.
func heldMemory() uint64 {
	return measured("/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes", "/memory/classes/heap/unused:bytes")
}

// allocatedMemory is what was ever allocated, in bytes.
func allocatedMemory() uint64 { return measured("/gc/heap/allocs:bytes") }

// measured is the sum of some of the runtime's metrics.
func measured(names ...string) (sum uint64) {
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}
