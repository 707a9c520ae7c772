package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
)

// The collector starts when the heap has doubled, which is soon for a control
// plane that lives on little. A flood makes it run ten times a second; while it
// runs it takes half of the processors of a small machine, and whoever asks for
// memory has to help it, whatever he asked for: that is what others wait for
// beside a flood. So while much is allocated it has a fixed room, on a large
// machine a hundred times what a request needs in all. The room that a burst
// left is given back once it is large, or once nobody works.
const (
	memoryPause = time.Second // between two looks, at least
	memoryRoom  = 12 << 20    // bytes that may lie idle
	memoryShare = 100         // of the time, one part at most is spent on giving back
	quietPace   = 1 << 20     // bytes allocated in a second: less is the household's
	quietRoom   = 3 << 20     // bytes that may lie idle then
	quietLooks  = 5           // looks after which work is over, and what it used is let go

	busyPace  = 16 << 20  // bytes allocated in a second: more is a flood
	busyRoom  = 256 << 20 // bytes until the collector starts, on a machine
	busyPart  = 64        // of whose memory it is one part, or less
	calmLooks = 2         // looks after which a flood is over
	usual     = 100       // percent of what is alive: the collector's room at other times
)

// returnMemory gives the collector its room, and idle memory back to the system,
// until ctx ends.
func returnMemory(ctx context.Context, c clock.Clock) error {
	h := hoard{room: roomOf(totalMemory()), calm: calmLooks}
	pause := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(max(pause, memoryPause)):
		}
		passed := max(pause, memoryPause)
		pause = 0
		held, allocated := heldMemory(), allocatedMemory()
		if percent, changed := h.roominess(liveMemory(), allocated, passed); changed {
			debug.SetGCPercent(percent)
		}
		if h.excessive(held, allocated, passed) {
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
	room            uint64 // for the collector during a flood
	calm            int    // looks since the last flood
	percent         int    // as it was set last; 0: never
}

// roomOf is the collector's room during floods on a machine of so much memory.
func roomOf(total uint64) uint64 { return min(total/busyPart, busyRoom) }

// roominess is by how many percent the heap, of which so much is alive, may grow
// until the collector starts, and whether that is new.
func (h *hoard) roominess(live, allocated uint64, passed time.Duration) (percent int, changed bool) {
	if float64(allocated-h.allocated) >= busyPace*passed.Seconds() {
		h.calm = 0
	} else if h.calm < calmLooks {
		h.calm++
	}
	percent = usual
	if h.calm < calmLooks {
		percent = max(usual, int(h.room*100/max(live, 1<<20)))
	}
	changed = max(percent, h.percent) > min(percent, h.percent)*5/4 || percent == usual && h.percent != usual
	if changed {
		h.percent = percent
	}
	return percent, changed
}

// excessive tells whether enough lies idle to be given back, or work is over;
// since the last look some time has passed.
func (h *hoard) excessive(held, allocated uint64, passed time.Duration) bool {
	room := h.kept/4 + memoryRoom
	if h.calm < calmLooks {
		room += 2 * h.room // what is alive grows, too
	}
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

// liveMemory is what the collector found alive when it ran last, in bytes.
func liveMemory() uint64 { return measured("/gc/heap/live:bytes") }

// totalMemory is the machine's, in bytes; 0 where the system does not tell.
func totalMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}

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
