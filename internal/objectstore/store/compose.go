package store

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// source is a part of a composition as it was read.
type source struct {
	objectstore.Key
	record *record
	body   *content
	claims map[fileID][16]byte
}

// errStale says that a part changed between reading and commit.
var errStale = errors.New("a part has changed")

const composeTries = 5

// Compose implements objectstore.Store.
func (s *Store) Compose(ctx context.Context, p objectstore.Put, parts []objectstore.Key, move bool) (out *objectstore.Object, err error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := firstError(checkPut(p), checkParts(p, parts, move)); err != nil {
		return nil, err
	}
	if _, _, err := s.find(ctx, p.Account, p.Container); err != nil {
		return nil, err
	}
	if err := s.needRoom(0); err != nil {
		return nil, err
	}
	for range composeTries {
		if out, err = s.compose(ctx, p, parts, move); !errors.Is(err, errStale) {
			break
		}
	}
	switch {
	case errors.Is(err, errStale):
		return nil, fault.Conflictf("The parts of the object %s change all the time", p.Name).Because(err)
	case err != nil:
		return nil, err
	}
	return out, nil
}

func checkParts(p objectstore.Put, parts []objectstore.Key, move bool) error {
	seen := map[objectstore.Key]bool{}
	for _, k := range parts {
		if err := checkKey(k); err != nil {
			return err
		}
		if move && seen[k] {
			return fault.Invalidf("The part %s is moved twice", k.Name)
		}
		seen[k] = true
	}
	switch {
	case len(parts) == 0:
		return fault.Invalidf("The object %s has no parts", p.Name)
	case len(parts) > 1 && p.ETag == "":
		return fault.Internalf("several parts are composed without an ETag")
	}
	return nil
}

func (s *Store) compose(ctx context.Context, p objectstore.Put, parts []objectstore.Key, move bool) (out *objectstore.Object, err error) {
	sources, err := s.sources(ctx, parts)
	defer func() {
		for _, src := range sources {
			err = errors.Join(err, src.body.Close())
		}
	}()
	if err != nil {
		return nil, err
	}
	r, made, err := s.assemble(ctx, p, sources, move)
	defer func() {
		if err != nil {
			s.abandon(made)
		}
		s.files.release(made)
	}()
	if err != nil {
		return nil, err
	}
	accounts := []string{p.Account}
	if move {
		for _, src := range sources {
			accounts = append(accounts, src.Account)
		}
	}
	err = s.change(ctx, accounts, move, func(t *tx) (err error) {
		if move {
			if err := t.takeParts(sources); err != nil {
				return err
			}
		}
		out, err = t.putChecked(p, r)
		return err
	})
	return out, err
}

// sources opens the parts.
func (s *Store) sources(ctx context.Context, parts []objectstore.Key) (out []*source, err error) {
	for _, k := range parts {
		db, c, err := s.find(ctx, k.Account, k.Container)
		if err != nil {
			return out, err
		}
		src, err := s.source(db, c, k)
		if err != nil {
			return out, err
		}
		out = append(out, src)
	}
	return out, nil
}

func (s *Store) source(db *pebble.DB, c *containerRow, k objectstore.Key) (*source, error) {
	o, err := s.lookup(db, c, k)
	if err != nil {
		return nil, err
	}
	body, err := s.openBody(db, c, o)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errStale
	}
	if err != nil {
		return nil, err
	}
	src := &source{Key: k, record: o, body: body, claims: map[fileID][16]byte{}}
	for _, x := range body.held {
		value, err := get(db, fileKey(x))
		var have claim
		if err == nil {
			have, err = decodeClaim(value)
		}
		if errors.Is(err, pebble.ErrNotFound) {
			err = errStale
		}
		if err != nil {
			return nil, errors.Join(err, body.Close())
		}
		src.claims[x] = have.sum
	}
	return src, nil
}

// assemble makes the body of a composition: files of parts are linked, or kept
// when they move; bytes from the index are written to files when they are many.
// made are files that did not exist before.
func (s *Store) assemble(ctx context.Context, p objectstore.Put, sources []*source, move bool) (r *received, made []fileID, err error) {
	r = &received{etag: p.ETag, sums: map[fileID][16]byte{}}
	small := int64(0)
	for _, src := range sources {
		r.size += src.record.Size
		if r.etag == "" {
			r.etag = src.record.ETag
		}
		for _, q := range src.body.parts {
			r.parts = append(r.parts, q)
			if q.inFile() {
				r.sums[q.file] = src.claims[q.file]
			} else {
				small += q.size
			}
		}
	}
	if p.Limit > 0 && r.size > p.Limit {
		return nil, nil, tooLarge(p.Limit)
	}
	if !move {
		if made, err = s.linkParts(r); err != nil {
			return nil, made, err
		}
	}
	if small > InlineMax {
		more, err := s.spillParts(ctx, r)
		return r, append(made, more...), err
	}
	return r, made, nil
}

// linkParts gives every file of a body a second name, and the body the new ones.
func (s *Store) linkParts(r *received) ([]fileID, error) {
	from := fileIDs(r.parts)
	to := s.files.mint(len(from))
	if err := broke(s.files.link(from, to)); err != nil {
		return to, err
	}
	sums, next := map[fileID][16]byte{}, 0
	for i := range r.parts {
		if q := &r.parts[i]; q.inFile() {
			sums[to[next]] = r.sums[q.file]
			q.file = to[next]
			next++
		}
	}
	r.sums = sums
	return to, nil
}

// spillParts writes each run of bytes that would lie in the index to a file.
func (s *Store) spillParts(ctx context.Context, r *received) (made []fileID, err error) {
	var parts []part
	for i := 0; i < len(r.parts); {
		if r.parts[i].inFile() {
			parts = append(parts, r.parts[i])
			i++
			continue
		}
		var readers []io.Reader
		size := int64(0)
		for ; i < len(r.parts) && !r.parts[i].inFile(); i++ {
			readers = append(readers, bytes.NewReader(r.parts[i].data))
			size += r.parts[i].size
		}
		name := s.files.mint(1)
		made = append(made, name...)
		got, err := s.receiveFile(ctx, &intake{body: io.MultiReader(readers...), size: size}, name[0], nil)
		if err != nil {
			return made, err
		}
		r.sums[name[0]] = got.sums[name[0]]
		parts = append(parts, got.parts...)
	}
	r.parts = parts
	return made, nil
}

// takeParts removes the parts of a composition, except for their files.
func (t *tx) takeParts(sources []*source) error {
	w := batchWriter{batch: t.batch}
	for _, src := range sources {
		c, err := t.container(src.Account, src.Container)
		if err != nil {
			return err
		}
		o, err := version(t.db, c, src.Key)
		if err != nil {
			return err
		}
		if !c.found || o == nil || o.stamp != src.record.stamp {
			return errStale
		}
		w.delete(bodyKey(c.number, o.Name, o.stamp))
		t.take(&w, c, o)
		if o.Current {
			if err := t.promote(&w, c, o.Name, o.stamp); err != nil {
				return err
			}
		}
	}
	return w.err
}
