// Package pace lets a request that moves many bytes share the machine with
// requests that ask for little.
//
// The front door puts a Flow into the context of each request that may have a
// large body. Whoever takes such a body apart asks the flow before it keeps a
// processor busy or a disk waiting. Without a flow, as for work that no request
// waits for, and while nobody else asks, all of it costs nothing.
//
// Rejected: limits of bytes per second (one that leaves a small machine room
// starves a large one), and the kernel's control groups (all requests are one
// process).
package pace

import (
	"context"
	"syscall"
)

// Flow is one request's part of the machine. Safe for concurrent use.
type Flow interface {
	// Crowded tells whether others ask for something as well.
	Crowded() bool
	// Work calls fn, which keeps a processor busy for some milliseconds at most,
	// when it is the flow's turn.
	Work(fn func())
	// Disk calls fn, which waits for a disk, when it is the flow's turn.
	Disk(fn func() error) error
	// Rest gives a processor back, before something else is waited for.
	Rest()
}

type key struct{}

// With gives a context a flow.
func With(ctx context.Context, f Flow) context.Context { return context.WithValue(ctx, key{}, f) }

// Of is the flow of a context: a free one when it has none.
func Of(ctx context.Context) Flow {
	if f, ok := ctx.Value(key{}).(Flow); ok {
		return f
	}
	return free{}
}

type free struct{}

func (free) Crowded() bool              { return false }
func (free) Work(fn func())             { fn() }
func (free) Disk(fn func() error) error { return fn() }
func (free) Rest()                      {}

// Piece is how many bytes go through a hash, or to a disk, in one turn while
// others ask: whoever wants a processor waits for the piece that has it, and
// whoever flushes a little waits for all that lies before it in the disk.
const Piece = 64 << 10

// GiveWay lets other threads have the processor first that became ready since
// the last time, as between two pieces of work. Left alone, most kernels look for
// them every four milliseconds.
func GiveWay() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) // never fails
}

// Settle writes a piece of a file out of the system's memory and waits for it.
// It is not a flush: neither the disk's own memory nor the journal of the file
// system is, for which others would wait. The file must be flushed in the end.
func Settle(fd uintptr, from, n int64) error {
	const waitBefore, write, waitAfter = 1, 2, 4
	return syscall.SyncFileRange(int(fd), from, n, waitBefore|write|waitAfter)
}
