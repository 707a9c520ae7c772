package files

import (
	"context"
	"crypto/md5" // the API's "checksum" is MD5; the secure hash is beside it
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/pace"
)

const (
	chunkSize = 1 << 20
	chunks    = 4
)

// Sums are the length and the digests of bytes, in hexadecimal.
type Sums struct {
	Size   int64
	MD5    string
	SHA512 string
}

// Draft is a file that was written and does not count yet. Its owner ends it
// by Keep or Discard.
type Draft struct {
	Sums
	store *Store
	file  *os.File
	name  string
	image string
}

// File is the draft's file, for reading by position.
func (d *Draft) File() *os.File { return d.file }

// Keep makes the draft the file of its image, durably; what was there under
// that kind is replaced. When it fails nothing is left of the draft.
func (d *Draft) Keep(ctx context.Context, kind Kind) error {
	err := d.file.Chmod(sealedMode)
	if err == nil {
		err = pace.Of(ctx).Disk(d.file.Sync)
	}
	if err == nil {
		err = d.store.root.Rename(d.name, d.image+"."+string(kind))
	}
	if err != nil {
		return errors.Join(full(fmt.Errorf("store image %s: %w", d.image, err)), d.Discard())
	}
	if err := d.file.Close(); err != nil {
		return fmt.Errorf("store image %s: %w", d.image, err)
	}
	return d.store.syncFolder()
}

// Discard removes the draft.
func (d *Draft) Discard() error {
	return errors.Join(d.file.Close(), d.store.root.Remove(d.name))
}

// chunk is a buffer that three consumers read side by side.
type chunk struct {
	data []byte
	left atomic.Int32
}

// copy moves r to f and computes the digests on the way. A chunk is refilled
// when all consumers are done with it, which bounds memory.
func (s *Store) copy(ctx context.Context, f *os.File, r io.Reader, limit int64) (Sums, error) {
	short, long := md5.New(), sha512.New()
	free := make(chan *chunk, chunks)
	for range chunks {
		free <- &chunk{data: make([]byte, chunkSize)}
	}
	group, ctx := errgroup.WithContext(ctx)
	flow := pace.Of(ctx)
	w := &sink{store: s, f: f, flow: flow}
	var queues []chan *chunk
	for _, consume := range []func([]byte) error{w.write, digest(short, flow), digest(long, flow)} {
		queue := make(chan *chunk, chunks)
		queues = append(queues, queue)
		group.Go(func() error {
			for c := range queue {
				if err := consume(c.data); err != nil {
					return err
				}
				if c.left.Add(-1) == 0 {
					free <- c
				}
			}
			return nil
		})
	}
	size, err := feed(ctx, r, limit, free, queues)
	for _, q := range queues {
		close(q)
	}
	if broken := group.Wait(); broken != nil {
		err = broken
	}
	if err == nil {
		err = w.end()
	}
	if err != nil {
		return Sums{}, err
	}
	return Sums{Size: size, MD5: hex.EncodeToString(short.Sum(nil)), SHA512: hex.EncodeToString(long.Sum(nil))}, nil
}

// feed reads r in chunks and gives each to all queues. It also returns when a
// consumer failed; copy then has the reason.
func feed(ctx context.Context, r io.Reader, limit int64, free chan *chunk, queues []chan *chunk) (int64, error) {
	size, flow := int64(0), pace.Of(ctx)
	for {
		var c *chunk
		if len(free) == 0 {
			flow.Rest()
		}
		select {
		case c = <-free:
		case <-ctx.Done():
			return size, fault.Unavailablef("The upload was stopped").Because(context.Cause(ctx))
		}
		n, err := io.ReadFull(r, c.data[:chunkSize])
		if size += int64(n); size > limit {
			return size, fault.New(fault.TooLarge, "The incoming image is too large: The size exceeds the limit of %d bytes", limit)
		}
		if n > 0 {
			c.data = c.data[:n]
			c.left.Store(int32(len(queues)))
			for _, q := range queues {
				q <- c // never blocks: a queue holds all chunks there are
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && n < chunkSize && ended(r):
			return size, nil
		case err != nil:
			return size, fault.Invalidf("The upload ended early").Because(err)
		}
	}
}

// ended tells the end of r from a transfer that broke off: both make ReadFull
// answer io.ErrUnexpectedEOF, only the first reads as io.EOF from then on.
func ended(r io.Reader) bool {
	n, err := r.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

// digest is a consumer that never fails.
func digest(h hash.Hash, flow pace.Flow) func([]byte) error {
	return func(b []byte) error {
		for piece := range slices.Chunk(b, pace.Piece) {
			flow.Work(func() { h.Write(piece) })
		}
		return nil
	}
}
