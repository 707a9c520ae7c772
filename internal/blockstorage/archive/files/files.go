package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/fault"
)

// Store keeps backups in one directory.
type Store struct{ dir string }

var _ archive.Store = (*Store)(nil)

// New makes a store; the directory is made with the first backup.
func New(dir string) *Store { return &Store{dir} }

// Name is that of upstream's driver for files.
func (*Store) Name() string { return "cinder.backup.drivers.posix.PosixBackupDriver" }

func (s *Store) folder(at archive.Place) (string, error) {
	if err := at.Check(); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, at.Container, at.Backup), nil
}

// unfinished begins the names of files that are being written. No piece has such a name.
const unfinished = ".new-"

// Put keeps a piece.
func (s *Store) Put(ctx context.Context, at archive.Place, name string, content []byte) error {
	folder, err := s.folder(at)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return clearly(fmt.Errorf("folder of a backup: %w", err))
	}
	passing := filepath.Join(folder, unfinished+name)
	if err := write(passing, content); err != nil {
		return clearly(errors.Join(err, os.Remove(passing)))
	}
	if err := os.Rename(passing, filepath.Join(folder, name)); err != nil {
		return fmt.Errorf("put a piece in place: %w", err)
	}
	return syncDir(folder)
}

func write(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("new piece: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a piece: %w", err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a folder of backups: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// clearly says so when the disk is full.
func clearly(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fault.Conflictf("There is not enough space for the backup").Because(err)
	}
	return err
}

// Get gives a piece.
func (s *Store) Get(ctx context.Context, at archive.Place, name string) ([]byte, error) {
	folder, err := s.folder(at)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(folder, filepath.Base(name)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.NotFoundf("The store of backups does not have piece %s of %s.", name, at.Backup)
	}
	if err != nil {
		return nil, fmt.Errorf("read a piece: %w", err)
	}
	return content, nil
}

// Drop removes all pieces of a backup.
func (s *Store) Drop(_ context.Context, at archive.Place) error {
	folder, err := s.folder(at)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove a backup: %w", err)
	}
	// the container goes with its last backup; one that is not empty stays
	if err := os.Remove(filepath.Dir(folder)); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("remove a container of backups: %w", err)
	}
	return nil
}
