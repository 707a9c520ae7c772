package reading

import (
	"bytes"
	"errors"
	"io"
	"net/url"

	"github.com/mekcloud/mek/internal/objectstore"
)

// part is a run of bytes that is opened when it is its turn; start is where it
// begins in what is opened.
type part struct {
	size int64
	open func() (c objectstore.Content, start int64, err error)
}

// joined reads parts one after the other; at most one of them is open.
type joined struct {
	next       func() (*part, error)
	skip, left int64
	content    objectstore.Content
	reader     io.Reader
	err        error
}

// Prime implements objectstore.Primed.
func (j *joined) Prime() error {
	if j.left > 0 && j.reader == nil && j.err == nil {
		j.err = j.step()
	}
	return j.err
}

// step opens the next part that has wanted bytes.
func (j *joined) step() error {
	for {
		p, err := j.next()
		if err != nil {
			return err
		}
		if p.size <= j.skip {
			j.skip -= p.size
			continue
		}
		content, start, err := p.open()
		if err != nil {
			return err
		}
		n := min(p.size-j.skip, j.left)
		j.content, j.reader = content, content.Range(start+j.skip, n)
		j.skip, j.left = 0, j.left-n
		if p, ok := j.reader.(objectstore.Primed); ok {
			return p.Prime()
		}
		return nil
	}
}

func (j *joined) Read(b []byte) (int, error) {
	for j.err == nil {
		if j.reader == nil {
			if j.left == 0 {
				return 0, io.EOF
			}
			j.err = j.step()
			continue
		}
		n, err := j.reader.Read(b)
		if err != nil {
			err = j.end(err)
		}
		if n > 0 || err != nil {
			j.err = err
			return n, err
		}
	}
	return 0, j.err
}

// end closes a part; the end of one is not the end of all.
func (j *joined) end(err error) error {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	err = errors.Join(err, j.content.Close())
	j.content, j.reader = nil, nil
	return err
}

// WriteTo implements io.WriterTo: each part is handed to w on its own, so that
// bytes of files need not pass through us.
func (j *joined) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for j.err == nil {
		if j.reader == nil {
			if j.left == 0 {
				return total, nil
			}
			j.err = j.step()
			continue
		}
		n, err := io.Copy(w, j.reader)
		total += n
		j.err = j.end(err)
	}
	return total, j.err
}

// readers are the readers of one content, for its Close.
type readers struct{ all []*joined }

func (r *readers) add(j *joined) *joined {
	r.all = append(r.all, j)
	return j
}

// Close closes what a reader has left open because nobody read to its end.
func (r *readers) Close() error {
	var err error
	for _, j := range r.all {
		if j.content != nil {
			err = errors.Join(err, j.content.Close())
			j.content = nil
		}
		j.err = io.ErrClosedPipe
	}
	r.all = nil
	return err
}

// inline is the content of bytes in a manifest.
type inline []byte

func (inline) Close() error { return nil }

func (b inline) Range(offset, length int64) io.Reader {
	return bytes.NewReader(b[offset : offset+length])
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
