package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkpointName is the folder of the store where a backup finds its copy of the
// index: on the same file system, so that it shares the bytes of most files.
const checkpointName = "checkpoint"

// Checkpoint makes a copy of the index at one instant, while the store is at
// work, in place of the last one. It answers where.
func (s *Store) Checkpoint() (string, error) {
	if err := s.gate.enter(); err != nil {
		return "", err
	}
	defer s.gate.leave()
	db, err := s.index()
	if err != nil {
		return "", err
	}
	return checkpoint(s.FS, s.Dir, db)
}

// CheckpointIdle is Checkpoint of a store that no process has open. Empty: there
// is no store.
func CheckpointIdle(dir string) (to string, err error) {
	if _, err := vfs.Default.Stat(path.Join(dir, "index")); missing(err) {
		return "", nil
	}
	db, err := pebble.Open(path.Join(dir, "index"), &pebble.Options{ReadOnly: true, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return "", fmt.Errorf("open object index: %w", err)
	}
	to, err = checkpoint(vfs.Default, dir, db)
	return to, errors.Join(err, db.Close())
}

func checkpoint(fs vfs.FS, dir string, db *pebble.DB) (string, error) {
	to := path.Join(dir, checkpointName)
	if err := fs.RemoveAll(to); err != nil {
		return "", fmt.Errorf("remove the last copy of the object index: %w", err)
	}
	if err := db.Checkpoint(to, pebble.WithFlushedWAL()); err != nil {
		return "", fmt.Errorf("copy object index: %w", err)
	}
	return to, nil
}

// Continue makes a copy of an index go on behind a database that knows of later
// events than the copy: their numbers are not given again, or the export would
// take new events for old ones. exported asks that database.
func Continue(dir string, exported func(store string) (int64, error)) (err error) {
	db, err := pebble.Open(path.Join(dir, "index"), &pebble.Options{FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		return fmt.Errorf("open object index: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	id, err := getFact(db, factID)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil // never used
	}
	if err != nil {
		return err
	}
	n, err := exported(hex.EncodeToString(id))
	if err != nil {
		return err
	}
	was, err := getNumber(db, factExported)
	if err != nil || uint64(n) <= was {
		return err
	}
	return db.Set(metaKey(factExported), binary.BigEndian.AppendUint64(nil, uint64(n)), pebble.Sync)
}
