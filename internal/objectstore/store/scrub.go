package store

import (
	"context"
	"crypto/md5" // what is kept of every file
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"
)

// scrubBytes is what one run of the scrubber reads: two MiB a second, so that
// it never shows.
const scrubBytes = 128 << 20

const factScrubbed = "scrubbed" // the file that was looked at last

// scrub hashes files again, a portion at each call, and goes on where the last
// call has ended. What does not hash to what was written goes to quarantine.
func (s *Store) scrub(ctx context.Context, portion int64) error {
	db, err := s.enter(ctx)
	if err != nil {
		return err
	}
	last, err := getFact(db, factScrubbed)
	if err = absent(err); err != nil {
		return err
	}
	list, err := claimsBehind(db, last, portion)
	if err != nil || len(list) == 0 && len(last) == 0 {
		return err
	}
	var at []byte // begins anew when the end was reached
	for _, f := range list {
		if err := s.scrubFile(ctx, db, f); err != nil {
			return err
		}
		at = f.name[:]
	}
	return s.setFact(ctx, factScrubbed, at)
}

func (s *Store) setFact(ctx context.Context, name string, value []byte) error {
	return s.change(ctx, nil, false, func(t *tx) error { return t.batch.Set(metaKey(name), value, nil) })
}

type claimed struct {
	claim
	name fileID
}

// claimsBehind gives the files behind one that have about n bytes together.
func claimsBehind(db pebble.Reader, last []byte, n int64) (out []claimed, err error) {
	low := append(append([]byte{fileFamily}, last...), 0)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: []byte{fileFamily + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok && n > 0; ok = it.Next() {
		c, err := decodeClaim(it.Value())
		if err != nil {
			return nil, err
		}
		out = append(out, claimed{c, fileID(it.Key()[1:])})
		n -= c.size
	}
	return out, nil
}

// scrubFile looks at one file.
func (s *Store) scrubFile(ctx context.Context, db *pebble.DB, f claimed) error {
	s.files.hold([]fileID{f.name})
	defer s.files.release([]fileID{f.name})
	sum, size, err := s.hashFile(ctx, f.name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && size == f.size && sum == f.sum {
		return nil
	}
	if err != nil && !missing(err) && !rotten(err) {
		return fmt.Errorf("hash file %s again: %w", f.name, err) // what could not be looked at is not damaged
	}
	if _, err := get(db, fileKey(f.name)); errors.Is(err, pebble.ErrNotFound) {
		return nil // deleted before we held it
	}
	s.Log.Error("bytes of an object are damaged", "file", f.name.String(), "size", size, "want", f.size, "error", err)
	if missing(err) {
		return nil // in quarantine, or lost; the checks of the store tell of it
	}
	if err := s.FS.Rename(s.files.path(f.name), s.files.rottenPath(f.name)); err != nil {
		return fmt.Errorf("put damaged file %s aside: %w", f.name, err)
	}
	if err := s.files.syncPath(path.Join(s.Dir, rottenName)); err != nil { // first where it is, then where it is no more
		return err
	}
	return s.files.sync(f.name.folder())
}

// rotten tells whether an error says that bytes are damaged, rather than that they
// could not be read just now.
func rotten(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG)
}

func (s *Store) hashFile(ctx context.Context, x fileID) (sum [16]byte, size int64, err error) {
	f, err := s.openAt(x, 0)
	if err != nil {
		return sum, 0, err
	}
	h := md5.New()
	b := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(b)
	size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{&stoppable{ctx, f}}, *b)
	return sumOf(h), size, errors.Join(err, f.Close())
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
