package db

import (
	"database/sql"
	"fmt"
	"unsafe"

	"github.com/mekcloud/mek/internal/beside"
	"github.com/mekcloud/mek/internal/reread"
)

// document is a column that keeps a value as text (JSON).
type document interface {
	decode(text []byte, r *reread.Reader) error
	reader() *reread.Reader
}

// rowsAtOnce is how many rows' documents are decoded while others are read: of
// a long list decoding is a quarter of the time.
const rowsAtOnce = 64

// reading reads the rows of one list.
type reading[T any] struct {
	rows *sql.Rows
	into func(*T) []any // addresses of the columns
	out  []*T
	// readers are those of documents, by column.
	readers []*reread.Reader
}

// all reads every row.
func (r *reading[T]) all() error {
	first, more, err := r.next()
	if err != nil {
		return err
	}
	if !more {
		return decode(first)
	}
	read := make(chan []*text, 8)
	read <- first
	return beside.Do(
		func() error {
			defer func() {
				for range read { // the reader waits for who decodes, also for one that failed
				}
			}()
			for texts := range read {
				if err := decode(texts); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			defer close(read)
			for more {
				var texts []*text
				var err error
				if texts, more, err = r.next(); err != nil {
					return err
				}
				read <- texts
			}
			return nil
		})
}

// next reads some rows, all but their documents.
func (r *reading[T]) next() (texts []*text, more bool, err error) {
	for range rowsAtOnce {
		if !r.rows.Next() {
			return texts, false, r.rows.Err()
		}
		row := new(T)
		targets := r.into(row)
		for i, target := range targets {
			if r.readers[i] != nil {
				t := &text{of: target.(document), by: r.readers[i]}
				targets[i], texts = t, append(texts, t)
			}
		}
		if err := r.rows.Scan(targets...); err != nil {
			return nil, false, err
		}
		r.out = append(r.out, row)
	}
	return texts, true, nil
}

// text is what is scanned instead of a document.
type text struct {
	of      document
	by      *reread.Reader
	content []byte
}

// Scan implements sql.Scanner.
func (t *text) Scan(src any) (err error) {
	t.content, err = textOf(src)
	return err
}

func decode(texts []*text) error {
	for _, t := range texts {
		if err := t.of.decode(t.content, t.by); err != nil {
			return err
		}
	}
	return nil
}

// textOf copies bytes, since the driver's are overwritten by the next row. A
// string stays as it is, and who decodes changes nothing of it.
func textOf(src any) ([]byte, error) {
	switch s := src.(type) {
	case string:
		return unsafe.Slice(unsafe.StringData(s), len(s)), nil
	case []byte:
		return append([]byte(nil), s...), nil
	case nil:
		return nil, nil
	}
	return nil, fmt.Errorf("a JSON column holds %T", src)
}
