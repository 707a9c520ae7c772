package files

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/pace"
)

// stretch is how many bytes are written before the disk is told to begin, or,
// while others ask, how many get their room on the disk at once.
const stretch = 8 << 20

// sink stores a draft's bytes: it stops before the reserve is touched, and lets
// the disk begin early, so that the flush at the end is short. While others ask,
// a piece has gone to the disk before the next one is begun.
type sink struct {
	store         *Store
	f             *os.File
	flow          pace.Flow
	done, flushed int64
	allotted      int64 // how far the file has room on the disk
}

func (w *sink) write(b []byte) error {
	room, err := w.store.Free()
	if err != nil {
		return err
	}
	if room < int64(len(b)) {
		return full(fmt.Errorf("%d bytes left: %w", room, unix.ENOSPC))
	}
	if w.flow.Crowded() {
		for piece := range slices.Chunk(b, pace.Piece) {
			if err := w.flow.Disk(func() error { return w.settle(piece) }); err != nil {
				return full(fmt.Errorf("store image: %w", err))
			}
		}
		return nil
	}
	if _, err := w.f.Write(b); err != nil {
		return full(fmt.Errorf("store image: %w", err))
	}
	if w.done += int64(len(b)); w.done-w.flushed >= stretch {
		// only a hint: Keep flushes, and reports what goes wrong
		_ = unix.SyncFileRange(int(w.f.Fd()), w.flushed, w.done-w.flushed, unix.SYNC_FILE_RANGE_WRITE)
		w.flushed = w.done
	}
	return nil
}

// settle writes a piece through to the disk. Whoever makes a file longer at the
// same time waits for changes of what is free: those are made a stretch at once.
func (w *sink) settle(piece []byte) error {
	fd := int(w.f.Fd())
	if from := max(w.done, w.allotted); w.done+int64(len(piece)) > w.allotted {
		w.allotted = from + stretch
		_ = unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, from, stretch) // not offered everywhere, and a full disk shows when it is written to
	}
	n, err := w.f.Write(piece)
	if err != nil {
		return err
	}
	at := w.done
	w.done += int64(n)
	return pace.Settle(uintptr(fd), at, int64(n))
}

// end gives back what room was allotted and not needed.
func (w *sink) end() error {
	if w.allotted <= w.done {
		return nil
	}
	return w.f.Truncate(w.done)
}
