package agent

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// disk is what a journal needs of a file system.
type disk interface {
	Open(path string, flags int) (file, error)
	Rename(from, to string) error
	Flush(dir string) error // makes names durable
}

// file is what it needs of a file.
type file interface {
	io.ReadWriteCloser
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	// Reserve sets room aside behind the end, without making the file longer.
	Reserve(from, size int64) error
}

type osDisk struct{}

func (osDisk) Open(path string, flags int) (file, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

type osFile struct{ *os.File }

func (f osFile) Reserve(from, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, from, size)
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
