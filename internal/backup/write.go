package backup

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Writer makes a backup. End it by Finish or Discard.
type Writer struct {
	path string
	file *os.File
	zip  *gzip.Writer
	tar  *tar.Writer
	list []File
	// service is the user of the server; 0 when all is one user's.
	service uint32
}

// newWriter begins a backup that will be at path, readable by its owner only.
func newWriter(path string) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s exists", path)
	}
	f, err := os.OpenFile(path+".partial", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Writer{path: path, file: f, zip: z, tar: tar.NewWriter(z)}, nil
}

// serviceName stands in the archive for the user of the server.
const serviceName = "service"

// Discard removes what was written; nothing after Finish.
func (w *Writer) Discard() {
	if w.file == nil {
		return
	}
	_ = w.file.Close() // it is removed
	_ = os.Remove(w.path + ".partial")
	w.file = nil
}

// Add puts a file in under a name. One that is missing is left out.
func (w *Writer) Add(name, from string) error {
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return w.put(name, fi.Size(), fi.Mode().Perm(), ok && w.service != 0 && st.Uid == w.service, f)
}

// AddTree puts in all regular files below a folder. A folder that is missing is empty.
func (w *Writer) AddTree(name, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == from {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return w.Add(name+"/"+filepath.ToSlash(rest), path)
	})
}

// AddBytes puts content in under a name.
func (w *Writer) AddBytes(name string, content []byte) error {
	return w.put(name, int64(len(content)), 0o600, false, newReader(content))
}

func (w *Writer) put(name string, size int64, mode fs.FileMode, service bool, from io.Reader) error {
	h := tar.Header{Name: name, Size: size, Mode: int64(mode), Typeflag: tar.TypeReg}
	if service {
		h.Uname = serviceName
	}
	sum, err := w.member(h, from)
	w.list = append(w.list, File{name, size, sum, service})
	return err
}

func (w *Writer) member(head tar.Header, from io.Reader) (sum string, err error) {
	name, size := head.Name, head.Size
	if err := w.tar.WriteHeader(&head); err != nil {
		return "", fmt.Errorf("backup %s: %w", name, err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, h), io.LimitReader(from, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("backup %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Finish writes the manifest, makes everything durable and gives the file its name.
func (w *Writer) Finish(m Manifest) (Manifest, error) {
	m.Format, m.Files, m.NotInside = Format, w.list, NotInside
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if _, err := w.member(tar.Header{Name: manifestName, Size: int64(len(text)), Mode: 0o600, Typeflag: tar.TypeReg}, newReader(text)); err != nil {
		return m, err
	}
	for _, end := range []func() error{w.tar.Close, w.zip.Close, w.file.Sync, w.file.Close, func() error { return os.Rename(w.path+".partial", w.path) },
		func() error { return flushFolder(filepath.Dir(w.path)) }} {
		if err := end(); err != nil {
			return m, fmt.Errorf("finish backup: %w", err)
		}
	}
	w.file = nil
	return m, nil
}
