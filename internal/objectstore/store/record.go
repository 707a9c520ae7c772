package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Values begin with the number of their layout.
const layout = 1

var errTorn = errors.New("value is not what was written")

// writer appends the members of a value.
type writer []byte

func (w *writer) number(n int64) { *w = binary.AppendVarint(*w, n) }
func (w *writer) word(n uint64)  { *w = binary.BigEndian.AppendUint64(*w, n) }
func (w *writer) text(s string)  { *w = append(binary.AppendUvarint(*w, uint64(len(s))), s...) }
func (w *writer) bytes(b []byte) { *w = append(binary.AppendUvarint(*w, uint64(len(b))), b...) }
func (w *writer) time(t time.Time) {
	if t.IsZero() {
		w.number(0)
		return
	}
	w.number(clock.Micros(t))
}

func (w *writer) headers(h objectstore.Headers) {
	w.number(int64(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		w.text(name)
		w.text(h[name])
	}
}

// reader takes the members of a value again; the first mistake sticks.
type reader struct {
	left []byte
	err  error
}

func newReader(value []byte) *reader {
	if len(value) == 0 || value[0] != layout {
		return &reader{err: errTorn}
	}
	return &reader{left: value[1:]}
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.left)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.left = r.left[size:]
	return n
}

func (r *reader) word() uint64 {
	if len(r.left) < 8 {
		r.fail()
		return 0
	}
	n := binary.BigEndian.Uint64(r.left)
	r.left = r.left[8:]
	return n
}

func (r *reader) bytes() []byte {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || n > uint64(len(r.left)-size) {
		r.fail()
		return nil
	}
	b := r.left[size : size+int(n)]
	r.left = r.left[size+int(n):]
	return b
}

func (r *reader) take(n int) []byte {
	if len(r.left) < n {
		r.fail()
		return make([]byte, n)
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) time() time.Time {
	us := r.number()
	if us == 0 {
		return time.Time{}
	}
	return clock.FromMicros(us)
}

func (r *reader) headers() objectstore.Headers {
	n := r.number()
	if n < 0 || n > int64(len(r.left)) {
		r.fail()
		return nil
	}
	if n == 0 {
		return objectstore.Headers{} // costs nothing until it is written to
	}
	h := make(objectstore.Headers, n)
	for range n {
		name := r.text()
		h[name] = r.text()
	}
	return h
}

func (r *reader) fail() { r.left, r.err = nil, errTorn }

// end gives the first mistake; bytes that are left are one.
func (r *reader) end(what string) error {
	if r.err == nil && len(r.left) > 0 {
		r.err = errTorn
	}
	if r.err != nil {
		return fmt.Errorf("read %s: %w", what, r.err)
	}
	return nil
}

// Flags of an object.
const (
	flagMarker = 1 << iota
	flagNull
	flagSum // the ETag is an MD5, kept in its 16 bytes
)

// record is an object as the index has it.
type record struct {
	objectstore.Object
	stamp stamp
}

func (o *record) null() bool { return o.Version == objectstore.NullVersion }

func (o *record) encode() []byte {
	flags := byte(0)
	if o.DeleteMarker {
		flags |= flagMarker
	}
	if o.null() {
		flags |= flagNull
	}
	sum, err := hex.DecodeString(o.ETag)
	packed := err == nil && len(sum) == 16 && hex.EncodeToString(sum) == o.ETag
	if packed {
		flags |= flagSum
	}
	w := append(make(writer, 0, 160), layout, flags)
	w.word(uint64(o.stamp))
	w.number(o.Size)
	if packed {
		w = append(w, sum...)
	} else {
		w.text(o.ETag)
	}
	w.text(o.ContentType)
	w.time(o.ModifiedAt)
	w.time(o.CreatedAt)
	w.time(o.DeleteAt)
	w.number(o.ListedSize)
	w.text(o.ListedETag)
	w.headers(o.Headers)
	return w
}

// decodeObject reads a record under a key that the caller knows.
func decodeObject(value []byte, account, container, name string) (*record, error) {
	r := newReader(value)
	o := &record{}
	flags := r.take(1)[0]
	o.Account, o.Container, o.Name = account, container, name
	o.DeleteMarker = flags&flagMarker != 0
	o.stamp = stamp(r.word())
	if o.Version = objectstore.NullVersion; flags&flagNull == 0 {
		o.Version = versionID(o.stamp)
	}
	o.Size = r.number()
	if flags&flagSum != 0 {
		o.ETag = hex.EncodeToString(r.take(16))
	} else {
		o.ETag = r.text()
	}
	o.ContentType = r.text()
	o.ModifiedAt, o.CreatedAt, o.DeleteAt = r.time(), r.time(), r.time()
	o.ListedSize, o.ListedETag = r.number(), r.text()
	o.Headers = r.headers()
	return o, r.end("object")
}

// part is a run of an object's bytes: in the index, or a whole file.
type part struct {
	data []byte
	file fileID
	size int64 // of data or of the file
}

func (p part) inFile() bool { return p.data == nil }

func encodeParts(parts []part) []byte {
	w := writer{layout}
	for _, p := range parts {
		if p.inFile() {
			w = append(append(w, 1), p.file[:]...)
			w.number(p.size)
			continue
		}
		w = append(w, 0)
		w.bytes(p.data)
	}
	return w
}

// decodeParts reads a body; data of parts lies in value.
func decodeParts(value []byte) (parts []part, err error) {
	r := newReader(value)
	for r.err == nil && len(r.left) > 0 {
		if r.take(1)[0] == 1 {
			p := part{file: fileID(r.take(len(fileID{})))}
			p.size = r.number()
			parts = append(parts, p)
			continue
		}
		b := r.bytes()
		parts = append(parts, part{data: b, size: int64(len(b))})
	}
	return parts, r.end("body")
}

// claim says who owns a file and what is in it.
type claim struct {
	size int64
	sum  [16]byte // MD5 of the bytes
	body []byte   // key of the owner's body
}

func (c claim) encode() []byte {
	w := writer{layout}
	w.number(c.size)
	w = append(w, c.sum[:]...)
	w.bytes(c.body)
	return w
}

func decodeClaim(value []byte) (c claim, err error) {
	r := newReader(value)
	c.size = r.number()
	c.sum = [16]byte(r.take(16))
	c.body = slices.Clone(r.bytes())
	return c, r.end("claim")
}
