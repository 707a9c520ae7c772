package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func packed(t testing.TB, names ...string) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Name: n, Size: 2, Mode: 0o600, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever a backup says, nothing is written outside of the folder it is unpacked into.
func FuzzUnpack(f *testing.F) {
	f.Add(packed(f, "../../escape", manifestName))
	f.Add(packed(f, "/absolute", manifestName))
	f.Add(packed(f, "a", "a", manifestName))
	f.Add(packed(f, "a/b", manifestName))
	f.Add([]byte("no gzip"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		top := t.TempDir()
		in := filepath.Join(top, "one", "two", "in")
		if err := os.MkdirAll(in, 0o700); err != nil {
			t.Fatal(err)
		}
		if m, err := unpack(bytes.NewReader(raw), in); err == nil && m.Format != Format {
			t.Errorf("taken: %+v", m)
		}
		if err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if rel, e2 := filepath.Rel(in, path); err == nil && !e.IsDir() && (e2 != nil || !filepath.IsLocal(rel)) {
				t.Errorf("%s was written", path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
