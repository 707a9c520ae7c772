package store

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/cockroachdb/pebble/v2"
)

// sweep removes files that nobody owns: what a crash or a failed unlink left.
// A file that is being written or read is held, and a writer commits its claim
// before it lets go; so who is neither held nor claimed, in this order, is garbage.
func (s *Store) sweep(ctx context.Context) error {
	db, err := s.enter(ctx)
	if err != nil {
		return err
	}
	if err := s.failure(); err != nil {
		return unwritten(err) // what is claimed is not certain any more
	}
	nobodys := func(fileID) (bool, error) { return true, nil }
	unclaimed := func(x fileID) (bool, error) {
		_, closer, err := db.Get(fileKey(x))
		if errors.Is(err, pebble.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		return false, closer.Close()
	}
	err = errors.Join(s.sweepFolder(ctx, path.Join(s.Dir, tmpName), nobodys), s.sweepFolder(ctx, path.Join(s.Dir, rottenName), unclaimed))
	for n := range folders {
		err = errors.Join(err, s.sweepFolder(ctx, s.files.folderPath(byte(n)), unclaimed))
	}
	return err
}

func (s *Store) sweepFolder(ctx context.Context, dir string, garbage func(fileID) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	list, err := s.FS.List(dir)
	if err != nil {
		return fmt.Errorf("list folder of objects: %w", err)
	}
	for _, name := range list {
		x, ours := parseFile(name)
		if !ours || s.files.isHeld(x) {
			continue
		}
		yes, err := garbage(x)
		if err != nil {
			return err
		}
		if !yes {
			continue
		}
		if err := s.FS.Remove(path.Join(dir, name)); err != nil && !missing(err) {
			return fmt.Errorf("remove a file that nobody owns: %w", err)
		}
		s.Log.Info("removed a file that no object owns", "file", name)
	}
	return nil
}
