package reading

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// static makes a whole of a static large object. Without content only what the
// manifest's attributes say is known.
func (r *Reader) static(ctx context.Context, w *objectstore.Whole, manifest objectstore.Content, v objectstore.View, depth int) (*objectstore.Whole, objectstore.Content, error) {
	w.Kind = objectstore.StaticLarge
	size, err := strconv.ParseInt(w.Headers[objectstore.HeaderStaticSize], 10, 64)
	if err != nil {
		return nil, nil, errors.Join(fault.Internalf("size of the static large object %s/%s/%s: %v", w.Account, w.Container, w.Name, err), closing(manifest))
	}
	stored := w.Size
	w.Size, w.ETag = size, w.Headers[objectstore.HeaderStaticETag]
	if manifest == nil {
		return w, nil, nil
	}
	segments, err := readManifest(manifest, stored)
	if err != nil {
		return nil, nil, err
	}
	if depth > MaxDepth {
		return nil, nil, mismatch("manifests lie more than %d deep at %s/%s", MaxDepth, w.Container, w.Name)
	}
	c := &static{reader: r, ctx: ctx, view: v, account: w.Account, depth: depth}
	for _, s := range segments {
		p, err := newPiece(s)
		if err != nil {
			return nil, nil, err
		}
		c.pieces = append(c.pieces, p)
		w.Parts = append(w.Parts, p.length)
	}
	return w, c, nil
}

func closing(c objectstore.Content) error {
	if c == nil {
		return nil
	}
	return c.Close()
}

func readManifest(content objectstore.Content, size int64) ([]objectstore.Segment, error) {
	if size > objectstore.MaxManifestSize {
		return nil, errors.Join(fault.Internalf("a manifest of %d bytes", size), content.Close())
	}
	text, err := io.ReadAll(content.Range(0, size))
	if err = errors.Join(err, content.Close()); err != nil {
		return nil, err
	}
	return objectstore.ParseManifest(text)
}

// piece is a segment with the numbers of its range.
type piece struct {
	objectstore.Segment
	start, length int64
}

func newPiece(s objectstore.Segment) (piece, error) {
	if s.Name == "" {
		return piece{s, 0, int64(len(s.Data))}, nil
	}
	if s.Range == "" {
		return piece{s, 0, s.Bytes}, nil
	}
	from, to, _ := strings.Cut(s.Range, "-")
	start, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err := errors.Join(err1, err2); err != nil || start < 0 || last < start || last >= s.Bytes {
		return piece{}, fault.Internalf("stored manifest: range %q of %d bytes", s.Range, s.Bytes)
	}
	return piece{s, start, last - start + 1}, nil
}

// static is the content of a static large object.
type static struct {
	readers
	reader  *Reader
	ctx     context.Context //nolint:containedctx // of the request that reads it
	view    objectstore.View
	account string
	depth   int
	pieces  []piece
}

// Range implements objectstore.Content.
func (s *static) Range(offset, length int64) io.Reader {
	i := 0
	return s.add(&joined{left: length, skip: offset, next: func() (*part, error) {
		if i == len(s.pieces) {
			return nil, io.ErrUnexpectedEOF
		}
		p := s.pieces[i]
		i++
		return &part{p.length, func() (objectstore.Content, int64, error) { return s.open(p) }}, nil
	}})
}

// open opens a segment, and checks that it still is what the manifest says.
func (s *static) open(p piece) (objectstore.Content, int64, error) {
	if p.Name == "" {
		return inline(p.Data), 0, nil
	}
	container, name, ok := strings.Cut(strings.TrimPrefix(p.Name, "/"), "/")
	if !ok {
		return nil, 0, fault.Internalf("stored manifest: segment %q", p.Name)
	}
	k := objectstore.Key{Account: s.account, Container: container, Name: name}
	if err := allowed(s.ctx, s.view, k); err != nil {
		return nil, 0, mismatch("segment %s may not be read: %w", p.Name, err)
	}
	w, content, err := s.reader.find(s.ctx, k, objectstore.View{Allow: s.view.Allow}, s.depth+1, s.reader.store.Open)
	if err != nil {
		return nil, 0, mismatch("segment %s: %w", p.Name, err)
	}
	if w.ETag != p.Hash || w.Size != p.Bytes {
		closeAll(content)
		return nil, 0, mismatch("segment %s has %d bytes with ETag %s, the manifest says %d and %s", p.Name, w.Size, w.ETag, p.Bytes, p.Hash)
	}
	return content, p.start, nil
}
