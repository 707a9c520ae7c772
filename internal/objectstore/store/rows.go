package store

import (
	"github.com/mekcloud/mek/internal/objectstore"
)

// accountRow is an account; counts have a key of their own, since they change
// with every object.
type accountRow struct {
	objectstore.Account
	found          bool
	changed, moved bool // the row, the counts
}

func (a *accountRow) encode() []byte {
	w := writer{layout}
	deleted := int64(0)
	if a.Deleted {
		deleted = 1
	}
	w.number(deleted)
	w.time(a.CreatedAt)
	w.time(a.ChangedAt)
	w.headers(a.Headers)
	return w
}

func (a *accountRow) encodeCounts() []byte {
	w := writer{layout}
	for _, n := range []int64{a.Containers, a.Objects, a.Bytes, a.AllBytes} {
		w.number(n)
	}
	return w
}

func decodeAccount(value, counts []byte, name string) (*accountRow, error) {
	r := newReader(value)
	a := &accountRow{found: true}
	a.Name = name
	a.Deleted = r.number() != 0
	a.CreatedAt, a.ChangedAt, a.Headers = r.time(), r.time(), r.headers()
	if err := r.end("account"); err != nil {
		return nil, err
	}
	r = newReader(counts)
	a.Containers, a.Objects, a.Bytes, a.AllBytes = r.number(), r.number(), r.number(), r.number()
	return a, r.end("counts of account")
}

// containerRow is a container.
type containerRow struct {
	objectstore.Container
	number         uint64 // in the keys of its objects
	account        *accountRow
	found          bool
	changed, moved bool
}

func (c *containerRow) encode() []byte {
	w := writer{layout}
	w.word(c.number)
	w.number(int64(c.Versioning))
	w.time(c.CreatedAt)
	w.time(c.ChangedAt)
	w.headers(c.Headers)
	return w
}

func (c *containerRow) encodeCounts() []byte {
	w := writer{layout}
	for _, n := range []int64{c.Objects, c.Bytes, c.Versions, c.AllBytes} {
		w.number(n)
	}
	return w
}

func decodeContainer(value, counts []byte, account, name string) (*containerRow, error) {
	r := newReader(value)
	c := &containerRow{found: true}
	c.Account, c.Name = account, name
	c.number = r.word()
	c.Versioning = objectstore.Versioning(r.number())
	c.CreatedAt, c.ChangedAt, c.Headers = r.time(), r.time(), r.headers()
	if err := r.end("container"); err != nil {
		return nil, err
	}
	r = newReader(counts)
	c.Objects, c.Bytes, c.Versions, c.AllBytes = r.number(), r.number(), r.number(), r.number()
	return c, r.end("counts of container")
}

// count moves the counts of a container and its account.
func (c *containerRow) count(objects, bytes, versions, all int64) {
	c.Objects += objects
	c.Bytes += bytes
	c.Versions += versions
	c.AllBytes += all
	c.moved = true
	c.account.Objects += objects
	c.account.Bytes += bytes
	c.account.AllBytes += all
	c.account.moved = true
}
