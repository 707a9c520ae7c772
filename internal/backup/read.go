package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The limits of what is unpacked: a manifest is small, and no control plane has
// so many files.
const (
	maxManifest = 64 << 20
	maxMembers  = 1 << 20
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

// Unpack checks a backup while it unpacks it into an empty folder. After an
// error what is in the folder is worth nothing.
func Unpack(path, dir string) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	return unpack(f, dir)
}

func unpack(from io.Reader, dir string) (m Manifest, err error) {
	z, err := gzip.NewReader(from)
	if err != nil {
		return m, fmt.Errorf("this is no backup: %w", err)
	}
	t := tar.NewReader(z)
	have := map[string]File{}
	for m.Format == 0 {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return m, errors.New("the backup is cut: it has no manifest")
		}
		if err != nil {
			return m, fmt.Errorf("the backup is damaged: %w", err)
		}
		if h.Name == manifestName {
			if m, err = readManifest(t, have); err != nil {
				return m, err
			}
			break
		}
		if err := checkMember(h, have); err != nil {
			return m, err
		}
		if have[h.Name], err = unpackMember(t, h, dir); err != nil {
			return m, err
		}
	}
	if _, err := t.Next(); !errors.Is(err, io.EOF) {
		return m, errors.New("the backup goes on behind its manifest")
	}
	// gzip compares its sum, the only one over the manifest, when it is at its end
	if _, err := io.ReadFull(z, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return m, errors.Join(errors.New("the backup is damaged at its end"), err)
	}
	return m, nil
}

func checkMember(h *tar.Header, have map[string]File) error {
	_, twice := have[h.Name]
	switch {
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("the backup has %q, which is no plain file", h.Name)
	case !filepath.IsLocal(h.Name) || filepath.Clean(h.Name) != h.Name || strings.ContainsRune(h.Name, 0):
		return fmt.Errorf("the backup names a place that is not in it: %q", h.Name)
	case twice:
		return fmt.Errorf("the backup has %q twice", h.Name)
	case len(have) >= maxMembers:
		return errors.New("the backup has too many files")
	}
	return nil
}

func unpackMember(t io.Reader, h *tar.Header, dir string) (File, error) {
	to := filepath.Join(dir, filepath.FromSlash(h.Name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return File{}, fmt.Errorf("unpack: %w", err)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(h.Mode)&0o755|0o600)
	if err != nil {
		return File{}, fmt.Errorf("unpack: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), t)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return File{}, fmt.Errorf("unpack %s: %w", h.Name, err)
	}
	return File{h.Name, n, hex.EncodeToString(sum.Sum(nil)), h.Uname == serviceName}, flushFolder(filepath.Dir(to))
}

// readManifest reads it and compares it with what came before.
func readManifest(t io.Reader, have map[string]File) (m Manifest, err error) {
	text, err := io.ReadAll(io.LimitReader(t, maxManifest))
	if err != nil {
		return m, fmt.Errorf("the backup is damaged: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("the backup's manifest cannot be read: %w", err)
	}
	if m.Format < 1 || m.Format > Format {
		return m, fmt.Errorf("the backup is of format %d; this program reads up to %d", m.Format, Format)
	}
	for _, f := range m.Files {
		if have[f.Path] != f {
			return m, fmt.Errorf("the backup is damaged: %s is not as its manifest says", f.Path)
		}
	}
	if len(m.Files) != len(have) {
		return m, errors.New("the backup has files that its manifest does not list")
	}
	return m, nil
}

func flushFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
