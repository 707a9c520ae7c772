package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// content is the body of an opened object. Its files are held until Close.
type content struct {
	s     *Store
	parts []part
	held  []fileID
	once  sync.Once

	mu      sync.Mutex
	readers []*rangeReader
	ready   io.ReadCloser // the first file, open before an answer begins; nil: none, or it is being read
}

// readBody copies a body out of the index.
func readBody(db pebble.Reader, c *containerRow, o *record) ([]part, error) {
	if o.Size == 0 {
		return nil, nil
	}
	value, err := get(db, bodyKey(c.number, o.Name, o.stamp))
	if err != nil {
		return nil, err
	}
	return decodeParts(value)
}

// openBody holds the files of a body. pebble.ErrNotFound: the object is no more
// what the caller read.
func (s *Store) openBody(db *pebble.DB, c *containerRow, o *record) (*content, error) {
	parts, err := readBody(db, c, o)
	if err != nil {
		return nil, err
	}
	b := &content{s: s, parts: parts, held: fileIDs(parts)}
	if len(b.held) == 0 {
		return b, nil
	}
	s.files.hold(b.held)
	_, closer, err := db.Get(bodyKey(c.number, o.Name, o.stamp)) // still owned after we hold them?
	if err == nil {
		err = firstError(closer.Close(), b.present())
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func fileIDs(parts []part) (ids []fileID) {
	for _, p := range parts {
		if p.inFile() {
			ids = append(ids, p.file)
		}
	}
	return ids
}

// present checks that every file is there in its length, before an answer begins.
func (b *content) present() error {
	for _, p := range b.parts {
		if !p.inFile() {
			continue
		}
		if b.ready == nil {
			f, err := b.s.openAt(p.file, 0)
			if err != nil {
				return fault.Internalf("bytes of an object: %w", err)
			}
			b.ready = f
		}
		info, err := b.s.FS.Stat(b.s.files.path(p.file))
		if err != nil {
			return fault.Internalf("bytes of an object: %w", err)
		}
		if info.Size() != p.size {
			return fault.Internalf("file %s has %d bytes instead of %d", p.file, info.Size(), p.size)
		}
	}
	return nil
}

// Close implements objectstore.Content. Readers must not be in use any more.
func (b *content) Close() (err error) {
	b.once.Do(func() {
		for _, r := range b.readers {
			err = errors.Join(err, r.Close())
		}
		if f := b.take(); f != nil {
			err = errors.Join(err, f.Close())
		}
		b.s.files.release(b.held)
	})
	return err
}

// Range implements objectstore.Content.
func (b *content) Range(offset, length int64) io.Reader {
	r := &rangeReader{s: b.s, b: b}
	b.mu.Lock()
	b.readers = append(b.readers, r)
	b.mu.Unlock()
	for _, p := range b.parts {
		skip := min(offset, p.size)
		n := min(p.size-skip, length)
		if offset -= skip; n > 0 {
			r.runs = append(r.runs, run{p, skip, n})
			length -= n
		}
	}
	return r
}

// take gives away the file that is open already; nil: there is none.
func (b *content) take() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.ready
	b.ready = nil
	return f
}

// opened is the file that is open already, at an offset, if it is this one.
func (b *content) opened(x fileID, offset int64) (io.ReadCloser, error) {
	if len(b.held) == 0 || b.held[0] != x {
		return nil, nil
	}
	f := b.take()
	if f == nil || offset == 0 {
		return f, nil
	}
	if s, ok := f.(io.Seeker); ok {
		if _, err := s.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	return nil, f.Close()
}

// run is a piece of a part.
type run struct {
	part
	from, n int64
}

// rangeReader reads runs one after the other; it opens one file at a time.
type rangeReader struct {
	s    *Store
	b    *content
	runs []run
	file io.ReadCloser // of the first run, at its place
}

// source is what can be read at the first run.
func (r *rangeReader) source() (io.Reader, error) {
	at := &r.runs[0]
	if !at.inFile() {
		return &sliceReader{at.data[at.from : at.from+at.n]}, nil
	}
	if r.file == nil {
		f, err := r.b.opened(at.file, at.from)
		if err == nil && f == nil {
			f, err = r.s.openAt(at.file, at.from)
		}
		if err != nil {
			return nil, fmt.Errorf("read bytes of an object: %w", err)
		}
		r.file = f
	}
	return r.file, nil
}

// sliceReader is bytes.Reader without its WriterTo, which would hide how much was read.
type sliceReader struct{ b []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// advance notes bytes that were read.
func (r *rangeReader) advance(n int64) error {
	at := &r.runs[0]
	at.from += n
	if at.n -= n; at.n > 0 {
		return nil
	}
	r.runs = r.runs[1:]
	return r.Close()
}

// Close closes what an unfinished reader has open.
func (r *rangeReader) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
}

// Read implements io.Reader.
func (r *rangeReader) Read(p []byte) (int, error) {
	if len(r.runs) == 0 {
		return 0, io.EOF
	}
	src, err := r.source()
	if err != nil {
		return 0, err
	}
	n, err := src.Read(p[:min(int64(len(p)), r.runs[0].n)])
	if errors.Is(err, io.EOF) && n == 0 && len(p) > 0 {
		return 0, errors.Join(io.ErrUnexpectedEOF, r.Close())
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, firstError(r.advance(int64(n)), err)
}

// WriteTo implements io.WriterTo. A run of a file goes to w as an
// *io.LimitedReader of an *os.File, which a TCP connection gives to the kernel.
func (r *rangeReader) WriteTo(w io.Writer) (total int64, err error) {
	for len(r.runs) > 0 {
		src, err := r.source()
		if err != nil {
			return total, err
		}
		want := r.runs[0].n
		n, err := io.Copy(w, &io.LimitedReader{R: src, N: want})
		total += n
		if err == nil && n < want {
			err = io.ErrUnexpectedEOF
		}
		if err := firstError(err, r.advance(n)); err != nil {
			return total, errors.Join(err, r.Close())
		}
	}
	return total, nil
}

// openAt opens a file at an offset: an *os.File where the file system is the
// system's.
func (s *Store) openAt(x fileID, offset int64) (io.ReadCloser, error) {
	if s.FS == vfs.Default {
		f, err := os.Open(s.files.path(x))
		if err != nil {
			return nil, err
		}
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	f, err := s.FS.Open(s.files.path(x))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, 1<<62-offset), f}, nil
}

var _ objectstore.Content = (*content)(nil)
