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
// a burst left is given back once it is large.
const (
	memoryPause = time.Second // between two looks, at least
	memoryRoom  = 12 << 20    // bytes that may lie idle
	memoryShare = 100         // of the time, one part at most is spent on giving back
)

// returnMemory gives idle memory back to the system until ctx ends.
func returnMemory(ctx context.Context, c clock.Clock) error {
	kept, pause := uint64(0), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(max(pause, memoryPause)):
		}
		pause = 0
		if held := heldMemory(); held > kept+kept/4+memoryRoom {
			begun := c.Now()
			debug.FreeOSMemory()
			kept, pause = heldMemory(), memoryShare*c.Now().Sub(begun)
		}
	}
}

// heldMemory is what the heap takes from the system, in bytes.
func heldMemory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(samples)
	var sum uint64
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}
