package reading

import (
	"context"
	"crypto/md5" //nolint:gosec // the ETag of the wire
	"encoding/hex"
	"io"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// page is how many segments of a dynamic large object are known at once.
const page = 10000

// dynamic makes a whole of a dynamic large object: all objects of a container
// whose names begin with a prefix.
func (r *Reader) dynamic(ctx context.Context, w *objectstore.Whole, manifest objectstore.Content, v objectstore.View) (*objectstore.Whole, objectstore.Content, error) {
	wanted := manifest != nil
	closeAll(manifest)
	container, prefix, _ := strings.Cut(unescape(w.Headers[objectstore.HeaderManifest]), "/")
	d := &dynamic{reader: r, ctx: ctx, view: v, account: w.Account, container: container, prefix: prefix}
	if err := allowed(ctx, v, objectstore.Key{Account: w.Account, Container: container}); err != nil {
		return nil, nil, err
	}
	w.Kind, w.Size = objectstore.DynamicLarge, 0
	sum := md5.New() //nolint:gosec // the ETag of the wire
	for marker, more := "", true; more; {
		segments, err := d.list(marker)
		if err != nil {
			return nil, nil, err
		}
		for i := range segments {
			w.Size += segments[i].Object.Size
			sum.Write([]byte(segments[i].Object.ETag))
			marker = segments[i].Object.Name
		}
		if d.first == nil {
			d.first = segments
		}
		more = len(segments) == page
	}
	w.ETag = hex.EncodeToString(sum.Sum(nil))
	if !wanted {
		return w, nil, nil
	}
	return w, d, nil
}

// dynamic is the content of a dynamic large object.
type dynamic struct {
	readers
	reader                     *Reader
	ctx                        context.Context //nolint:containedctx // of the request that reads it
	view                       objectstore.View
	account, container, prefix string
	first                      []objectstore.ObjectEntry
}

func (d *dynamic) list(marker string) ([]objectstore.ObjectEntry, error) {
	return d.reader.store.Objects(d.ctx, d.account, d.container, objectstore.Listing{Prefix: d.prefix, Marker: marker, Limit: page})
}

// Range implements objectstore.Content. Later pages are listed when they are reached.
func (d *dynamic) Range(offset, length int64) io.Reader {
	segments, i := d.first, 0
	return d.add(&joined{left: length, skip: offset, next: func() (*part, error) {
		if i == len(segments) {
			if len(segments) < page {
				return nil, io.ErrUnexpectedEOF
			}
			var err error
			if segments, err = d.list(segments[i-1].Object.Name); err != nil {
				return nil, err
			}
			if i = 0; len(segments) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
		}
		o := &segments[i].Object
		i++
		return &part{o.Size, func() (objectstore.Content, int64, error) { return d.open(o) }}, nil
	}})
}

// open opens a segment. It may be a link, but not a large object itself: Swift
// gives the bytes of its manifest there.
func (d *dynamic) open(o *objectstore.Object) (objectstore.Content, int64, error) {
	k := objectstore.Key{Account: d.account, Container: d.container, Name: o.Name}
	found, content, _, err := d.reader.follow(d.ctx, k, objectstore.View{Allow: d.view.Allow}, d.reader.store.Open)
	if err != nil {
		return nil, 0, mismatch("segment %s: %w", o.Name, err)
	}
	if found.Size != o.Size && o.Headers[objectstore.HeaderLink] == "" {
		closeAll(content)
		return nil, 0, fault.Conflictf("").Because(io.ErrUnexpectedEOF)
	}
	return content, 0, nil
}
