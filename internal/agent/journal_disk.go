package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
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
}

type osDisk struct{}

func (osDisk) Open(path string, flags int) (file, error) { return os.OpenFile(path, flags, 0o600) }

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) Flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
