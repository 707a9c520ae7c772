package store

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Finding is something about the store that is not as it must be.
type Finding struct {
	Code     string `json:"code"`
	Subject  string `json:"subject"`
	Evidence string `json:"evidence"`
}

// maxFindings bounds a report: one mistake may show in every object.
const maxFindings = 1000

// recount is one look at the whole store, at one moment.
type recount struct {
	ctx   context.Context
	s     *Store
	db    pebble.Reader
	found []Finding
	// what was seen, to be compared with what else there is
	objects, versions, bodies, expiries int
}

// Check recounts everything and looks for bytes that are lost or nobody's.
func (s *Store) Check(ctx context.Context) (found []Finding, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	db, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	snap := db.NewSnapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	c := &recount{ctx: ctx, s: s, db: snap}
	for _, look := range []func() error{c.accounts, c.strays, c.files, c.garbage} {
		if err := look(); err != nil {
			return c.found, err
		}
	}
	return c.found, nil
}

func (c *recount) report(code, subject, evidence string, args ...any) {
	if len(c.found) < maxFindings {
		c.found = append(c.found, Finding{code, subject, fmt.Sprintf(evidence, args...)})
	}
}

// each calls fn for every key of a range.
func (c *recount) each(prefix []byte, fn func(key, value []byte) error) (err error) {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Error(), it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := errors.Join(c.ctx.Err(), fn(it.Key(), it.Value())); err != nil {
			return err
		}
	}
	return nil
}

// accounts recounts accounts and containers.
func (c *recount) accounts() error {
	return c.each([]byte{accountFamily}, func(key, _ []byte) error {
		name := string(key[1:])
		have, err := readAccount(c.db, name)
		if err != nil {
			return err
		}
		sum := objectstore.Account{}
		list, err := listContainers(c.db, name, objectstore.Listing{Limit: 1 << 30})
		if err != nil {
			return err
		}
		for _, e := range list {
			row, err := readContainer(c.db, name, e.Container.Name)
			if err != nil {
				return err
			}
			counted, err := c.container(row)
			if err != nil {
				return err
			}
			sum.Containers++
			sum.Objects, sum.Bytes, sum.AllBytes = sum.Objects+counted.Objects, sum.Bytes+counted.Bytes, sum.AllBytes+counted.AllBytes
		}
		if have.Containers != sum.Containers || have.Objects != sum.Objects || have.Bytes != sum.Bytes || have.AllBytes != sum.AllBytes {
			c.report("I-10/object-account", name, "counts %d containers, %d objects, %d bytes, %d with versions; there are %d, %d, %d, %d",
				have.Containers, have.Objects, have.Bytes, have.AllBytes, sum.Containers, sum.Objects, sum.Bytes, sum.AllBytes)
		}
		return nil
	})
}

// container recounts one container and looks at the bodies of its objects.
func (c *recount) container(row *containerRow) (sum objectstore.Container, err error) {
	read := func(family byte, take func(o *record)) error {
		return c.each(numberKey(family, row.number), func(key, value []byte) error {
			name, err := nameOf(key, 1+numberSize)
			if err != nil {
				return err
			}
			o, err := decodeObject(value, row.Account, row.Name, name)
			if err != nil {
				return err
			}
			take(o)
			sum.AllBytes += o.Size
			return c.body(row, o)
		})
	}
	err = read(objectFamily, func(o *record) {
		c.objects++
		sum.Objects, sum.Bytes = sum.Objects+1, sum.Bytes+o.Size
		if !o.DeleteAt.IsZero() {
			c.expiry(row, o)
		}
	})
	if err == nil {
		err = read(versionFamily, func(*record) { c.versions++; sum.Versions++ })
	}
	if row.Objects != sum.Objects || row.Bytes != sum.Bytes || row.Versions != sum.Versions || row.AllBytes != sum.AllBytes {
		c.report("I-10/object-container", row.Account+"/"+row.Name, "counts %d objects, %d bytes, %d versions, %d bytes in all; there are %d, %d, %d, %d",
			row.Objects, row.Bytes, row.Versions, row.AllBytes, sum.Objects, sum.Bytes, sum.Versions, sum.AllBytes)
	}
	return sum, err
}

func (c *recount) expiry(row *containerRow, o *record) {
	c.expiries++
	if _, err := get(c.db, expiryKey(clock.Micros(o.DeleteAt), row.number, o.Name)); err != nil {
		c.report("I-08/object-expiry", row.Account+"/"+row.Name+"/"+o.Name, "has a time to go that the expirer does not know")
	}
}

// body compares an object with its body, and the body with the claims on files.
func (c *recount) body(row *containerRow, o *record) error {
	if o.Size == 0 {
		return nil
	}
	c.bodies++
	subject := row.Account + "/" + row.Name + "/" + o.Name
	parts, err := readBody(c.db, row, o)
	if errors.Is(err, pebble.ErrNotFound) {
		c.report("I-08/object-body", subject, "has %d bytes and no body", o.Size)
		return nil
	}
	if err != nil {
		return err
	}
	size := int64(0)
	for _, p := range parts {
		size += p.size
		if !p.inFile() {
			continue
		}
		value, err := get(c.db, fileKey(p.file))
		var have claim
		if err == nil {
			have, err = decodeClaim(value)
		}
		if err != nil || have.size != p.size || string(have.body) != string(bodyKey(row.number, o.Name, o.stamp)) {
			c.report("I-08/object-claim", subject, "has file %s of %d bytes, which is not claimed for it", p.file, p.size)
		}
	}
	if size != o.Size {
		c.report("I-08/object-body", subject, "has %d bytes, its body %d", o.Size, size)
	}
	return nil
}

// strays counts what belongs to containers; more of it belongs to none.
func (c *recount) strays() error {
	for _, f := range []struct {
		family byte
		name   string
		want   int
	}{{objectFamily, "objects", c.objects}, {versionFamily, "versions", c.versions}, {bodyFamily, "bodies", c.bodies}, {expiryFamily, "expiries", c.expiries}} {
		have := 0
		if err := c.each([]byte{f.family}, func([]byte, []byte) error { have++; return nil }); err != nil {
			return err
		}
		if have != f.want {
			c.report("I-08/object-strays", f.name, "%d are kept, %d belong to something", have, f.want)
		}
	}
	return nil
}

// files looks for the file of every claim.
func (c *recount) files() error {
	return c.each([]byte{fileFamily}, func(key, value []byte) error {
		x := fileID(key[1:])
		want, err := decodeClaim(value)
		if err != nil {
			return err
		}
		parts, _ := get(c.db, want.body) // missing: reported with the body of the object
		if parts == nil {
			c.report("I-08/object-claim", x.String(), "is claimed for a body that does not exist")
		}
		info, err := c.s.FS.Stat(c.s.files.path(x))
		if err == nil && info.Size() == want.size {
			return nil
		}
		return c.lost(x, want)
	})
}

// lost reports a file that is not there, unless its object went meanwhile.
func (c *recount) lost(x fileID, want claim) error {
	if _, err := get(c.s.db.Load(), fileKey(x)); err != nil {
		return absent(err)
	}
	subject := ownerOf(want.body)
	if _, err := c.s.FS.Stat(c.s.files.rottenPath(x)); err == nil {
		c.report("I-08/object-damaged", subject, "file %s did not hash to what was written, and was put aside", x)
		return nil
	}
	c.report("I-08/object-lost", subject, "file %s of %d bytes is missing or of another size", x, want.size)
	return nil
}

// ownerOf is the name in a body's key.
func ownerOf(body []byte) string {
	name, err := nameOf(body, 1+numberSize)
	if err != nil {
		return ""
	}
	return name
}

// garbage looks for files that nobody claims. What is being written or removed is held.
func (c *recount) garbage() error {
	for n := range folders {
		list, err := c.s.FS.List(c.s.files.folderPath(byte(n)))
		if err != nil {
			return fmt.Errorf("list folder of objects: %w", err)
		}
		for _, name := range list {
			x, ok := parseFile(name)
			if ok && c.s.files.isHeld(x) {
				continue
			}
			if _, err := get(c.s.db.Load(), fileKey(x)); !ok || errors.Is(err, pebble.ErrNotFound) {
				c.report("I-08/object-garbage", path.Join(dataName, name), "belongs to no object")
			}
		}
	}
	return c.ctx.Err()
}
