package store

import (
	"context"
	"crypto/md5" // what ETags are
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/pace"
)

// An upload has three buffers, whatever its size: one is read into, while the
// others are hashed and written.
const (
	chunkSize  = 256 << 10
	chunks     = 3
	flushEvery = 8 << 20 // bytes after which the disk is told to begin writing
	roomEvery  = 1 << 20 // bytes after which free space is looked at
)

// received is a body that was taken in and belongs to nobody yet.
type received struct {
	parts []part
	sums  map[fileID][16]byte
	size  int64
	etag  string
	held  []fileID // to be released in the end
}

// intake reads a body with its limits.
type intake struct {
	body        io.Reader
	size, limit int64
	taken       int64
	ended       bool
}

// fill reads until b is full or the body ends.
func (in *intake) fill(ctx context.Context, b []byte) (n int, err error) {
	for n < len(b) && !in.ended {
		if ctx.Err() != nil {
			return n, incomplete(context.Cause(ctx))
		}
		m, err := in.body.Read(b[n:])
		n += m
		in.taken += int64(m)
		switch {
		case in.limit > 0 && in.taken > in.limit:
			return n, tooLarge(in.limit)
		case in.size >= 0 && in.taken > in.size:
			return n, fault.Invalidf("The body is longer than announced").With(objectstore.CodeIncomplete)
		case errors.Is(err, io.EOF):
			in.ended = true
			if in.size >= 0 && in.taken < in.size {
				return n, incomplete(io.ErrUnexpectedEOF)
			}
		case err != nil:
			return n, bodyFault(err)
		}
	}
	return n, nil
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "The body is larger than %d bytes", limit)
}

func incomplete(cause error) error {
	return fault.Invalidf("The body ended early").With(objectstore.CodeIncomplete).Because(cause)
}

// bodyFault keeps a fault that the body's reader made.
func bodyFault(err error) error {
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	return incomplete(err)
}

// receive takes a body in. keep is called with it, and afterwards what keep did
// not commit is removed.
func (s *Store) receive(ctx context.Context, p objectstore.Put, body io.Reader, keep func(*received) error) error {
	if p.Limit > 0 && p.Size > p.Limit {
		return tooLarge(p.Limit)
	}
	if err := s.needRoom(max(p.Size, 0)); err != nil {
		return err
	}
	in := &intake{body: body, size: p.Size, limit: p.Limit}
	if in.size < 0 {
		in.size = -1
	}
	first := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(first)
	n, err := in.fill(ctx, (*first)[:InlineMax+1])
	if err != nil {
		return err
	}
	if n <= InlineMax {
		return s.receiveSmall(p, (*first)[:n], keep)
	}
	more, err := in.fill(ctx, (*first)[n:])
	if err != nil {
		return err
	}
	name := s.files.mint(1)
	defer s.files.release(name)
	r, err := s.receiveFile(ctx, in, name[0], (*first)[:n+more])
	if err == nil {
		err = checkSum(p, r.etag)
	}
	if err == nil {
		err = keep(r)
	}
	if err != nil {
		s.abandon(name)
	}
	return err
}

func (s *Store) receiveSmall(p objectstore.Put, b []byte, keep func(*received) error) error {
	sum := md5.Sum(b)
	r := &received{size: int64(len(b)), etag: hex.EncodeToString(sum[:])}
	if len(b) > 0 {
		r.parts = []part{{data: b, size: r.size}}
	}
	if err := checkSum(p, r.etag); err != nil {
		return err
	}
	return keep(r)
}

func checkSum(p objectstore.Put, got string) error {
	if p.ETag != "" && p.ETag != got {
		return fault.Invalidf("The bytes do not have the checksum %s", p.ETag).With(objectstore.CodeChecksum)
	}
	return nil
}

// receiveFile writes a body whose first bytes were read to a file, durably.
func (s *Store) receiveFile(ctx context.Context, in *intake, name fileID, first []byte) (*received, error) {
	f, err := s.FS.Create(s.files.tmpPath(name), writeBytes)
	if err != nil {
		return nil, broke(fmt.Errorf("make file of an object: %w", err))
	}
	sum, err := s.fillFile(ctx, in, f, first)
	if err == nil {
		err = pace.Of(ctx).Disk(func() error { return s.seal(f, name) })
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return &received{parts: []part{{file: name, size: in.taken}}, sums: map[fileID][16]byte{name: sum}, size: in.taken, etag: hex.EncodeToString(sum[:])}, nil
}

// seal gives a file its name and makes both durable; named first, so that one
// flush of the file system's journal serves both.
func (s *Store) seal(f vfs.File, name fileID) error {
	if err := s.FS.Rename(s.files.tmpPath(name), s.files.path(name)); err != nil {
		return broke(fmt.Errorf("name file of an object: %w", err))
	}
	if err := f.Sync(); err != nil {
		return broke(fmt.Errorf("flush file of an object: %w", err))
	}
	return broke(s.files.sync(name.folder()))
}

// abandon removes files that were never owned, under either name. When the log
// has failed nobody knows: the sweep after the next start decides.
func (s *Store) abandon(ids []fileID) {
	if s.failure() != nil {
		return
	}
	for _, x := range ids {
		_ = s.FS.Remove(s.files.tmpPath(x)) // one of the two is there at most; the sweep has the rest
		_ = s.FS.Remove(s.files.path(x))
	}
}

// chunk is a buffer that is hashed and written side by side.
type chunk struct {
	data []byte
	left atomic.Int32
}

// fillFile moves the body to f. A chunk is read into again when it was both
// hashed and written, which bounds memory.
func (s *Store) fillFile(ctx context.Context, in *intake, f vfs.File, first []byte) (sum [16]byte, err error) {
	h := md5.New()
	flow := pace.Of(ctx)
	w := &spill{s: s, f: f, flow: flow}
	if in.size > 0 {
		if err := f.Preallocate(0, in.size); full(err) { // other errors: not offered here
			return sum, broke(err)
		}
	}
	if in.ended {
		h.Write(first)
		return sumOf(h), w.write(first)
	}
	group, ctx := errgroup.WithContext(ctx)
	free := make(chan *chunk, chunks)
	for range chunks - 1 {
		b := s.buffers.Get().(*[]byte)
		defer s.buffers.Put(b)
		free <- &chunk{data: *b}
	}
	var queues [2]chan *chunk
	for i, consume := range []func([]byte) error{w.write, func(b []byte) error {
		for piece := range slices.Chunk(b, pace.Piece) {
			flow.Work(func() { h.Write(piece) })
		}
		return nil
	}} {
		queue := make(chan *chunk, chunks)
		queues[i] = queue
		group.Go(func() error { return drain(queue, free, consume) })
	}
	err = feed(ctx, in, &chunk{data: first}, free, queues)
	for _, q := range queues {
		close(q)
	}
	if broken := group.Wait(); broken != nil {
		err = broken
	}
	return sumOf(h), err
}

func sumOf(h hash.Hash) (sum [16]byte) { return [16]byte(h.Sum(nil)) }

func drain(queue, free chan *chunk, consume func([]byte) error) error {
	for c := range queue {
		if err := consume(c.data); err != nil {
			return err
		}
		if c.left.Add(-1) == 0 {
			free <- c // never blocks: it holds all chunks there are
		}
	}
	return nil
}

// feed reads the body in chunks and hands each to all queues. It also returns
// when a consumer failed; its caller then has the reason.
func feed(ctx context.Context, in *intake, c *chunk, free chan *chunk, queues [2]chan *chunk) error {
	for {
		if len(c.data) > 0 {
			c.left.Store(int32(len(queues)))
			for _, q := range queues {
				q <- c // never blocks: as free
			}
		}
		if in.ended {
			return nil
		}
		if len(free) == 0 {
			pace.Of(ctx).Rest()
		}
		select {
		case c = <-free:
		case <-ctx.Done():
			return incomplete(context.Cause(ctx))
		}
		n, err := in.fill(ctx, c.data[:cap(c.data)])
		if err != nil {
			return err
		}
		c.data = c.data[:n]
	}
}

// spill writes a file: it stops before the reserve is touched, and lets the disk
// begin early, so that the flush at the end is short. While others ask, a piece
// has gone to the disk before the next one is begun.
type spill struct {
	s             *Store
	f             vfs.File
	flow          pace.Flow
	done, flushed int64
	room          int64 // bytes that may be written before the next look
}

func (w *spill) write(b []byte) error {
	if w.room -= int64(len(b)); w.room < 0 {
		if err := w.s.needRoom(int64(len(b))); err != nil {
			return err
		}
		w.room = roomEvery
	}
	if w.flow.Crowded() {
		for piece := range slices.Chunk(b, pace.Piece) {
			if err := w.flow.Disk(func() error { return w.settle(piece) }); err != nil {
				return broke(fmt.Errorf("write file of an object: %w", err))
			}
		}
		return nil
	}
	if _, err := w.f.Write(b); err != nil {
		return broke(fmt.Errorf("write file of an object: %w", err))
	}
	if w.done += int64(len(b)); w.done-w.flushed >= flushEvery {
		w.flushed = w.done
		if _, err := w.f.SyncTo(w.done); err != nil {
			return broke(fmt.Errorf("begin to flush file of an object: %w", err))
		}
	}
	return nil
}

func (w *spill) settle(piece []byte) error {
	n, err := w.f.Write(piece)
	if err != nil {
		return err
	}
	at := w.done
	w.done += int64(n)
	if fd := w.f.Fd(); fd != vfs.InvalidFd {
		return pace.Settle(fd, at, int64(n))
	}
	return w.f.SyncData()
}
