package archive_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage/archive"
	"github.com/mekcloud/mek/internal/blockstorage/archive/files"
	"github.com/mekcloud/mek/internal/fault"
)

const piece = 4 << 20

func content(parts ...byte) []byte {
	var out []byte
	for i, b := range parts {
		part := bytes.Repeat([]byte{b}, piece)
		if b != 0 {
			for j := range 64 << 10 { // some of it does not compress
				part[j] = byte(j*j>>3) ^ b ^ byte(i)
			}
		}
		out = append(out, part...)
	}
	return out
}

func read(t *testing.T, s archive.Store, at archive.Place) []byte {
	t.Helper()
	ctx := context.Background()
	m, err := archive.Load(ctx, s, at)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(archive.Read(ctx, s, m))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBackupsKeepBytes(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s := files.New(dir)
	full, next := archive.Place{Container: "c", Backup: "full"}, archive.Place{Container: "d", Backup: "next"}
	first := append(content(1, 0, 2), []byte("tail")...)
	m, err := archive.Write(ctx, s, full, bytes.NewReader(first), nil)
	if err != nil || m.Count() != 3 || m.Size != int64(len(first)) {
		t.Fatalf("%d pieces, %v", m.Count(), err)
	}
	if !bytes.Equal(read(t, s, full), first) {
		t.Error("the backup differs")
	}
	second := append(content(1, 3, 0), []byte("tail and more")...)
	m, err = archive.Write(ctx, s, next, bytes.NewReader(second), m)
	if err != nil || m.Count() != 2 { // the second piece and the tail
		t.Fatalf("%d pieces, %v", m.Count(), err)
	}
	if !bytes.Equal(read(t, s, next), second) || !bytes.Equal(read(t, s, full), first) {
		t.Error("the incremental backup or its parent differs")
	}
	third := archive.Place{Container: "d", Backup: "third"}
	if m, err = archive.Write(ctx, s, third, bytes.NewReader(second), m); err != nil || m.Count() != 0 {
		t.Fatalf("nothing has changed: %d pieces, %v", m.Count(), err)
	}
	if !bytes.Equal(read(t, s, third), second) {
		t.Error("the chain differs")
	}
	for range 2 {
		if err := s.Drop(ctx, third); err != nil {
			t.Error(err)
		}
	}
	if _, err := archive.Load(ctx, s, third); !fault.Is(err, fault.NotFound) {
		t.Errorf("a dropped backup: %v", err)
	}
	if !bytes.Equal(read(t, s, next), second) {
		t.Error("dropping a child took its parent's pieces")
	}
	for _, at := range []archive.Place{next, full} {
		if err := s.Drop(ctx, at); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s, at := files.New(dir), archive.Place{Container: "c", Backup: "b"}
	if _, err := archive.Write(ctx, s, at, bytes.NewReader(content(5, 6)), nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "c", "b", "00000001")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"cut": whole[:len(whole)-1], "changed": append([]byte{^whole[0]}, whole[1:]...), "empty": {}} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := archive.Load(ctx, s, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(archive.Read(ctx, s, m)); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "c", "b", "manifest"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Load(ctx, s, at); !fault.Is(err, fault.Conflict) {
		t.Errorf("a damaged manifest: %v", err)
	}
	for _, bad := range []archive.Place{{Container: "..", Backup: "b"}, {Container: "c", Backup: "../../etc"}, {Container: "", Backup: "b"}, {Container: "a/b", Backup: "b"}} {
		if err := s.Put(ctx, bad, "x", nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, err := archive.Load(ctx, s, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// memory is a store of one piece.
type memory struct {
	archive.Store
	raw []byte
}

func (m memory) Get(context.Context, archive.Place, string) ([]byte, error) { return m.raw, nil }

func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	s, at := files.New(dir), archive.Place{Container: "c", Backup: "b"}
	if _, err := archive.Write(context.Background(), s, at, bytes.NewReader([]byte("content")), nil); err != nil {
		f.Fatal(err)
	}
	raw, err := s.Get(context.Background(), at, "manifest")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		ctx := context.Background()
		m, err := archive.Load(ctx, memory{raw: raw}, at)
		if err != nil || m.Size > 1<<24 {
			return
		}
		if out, err := io.ReadAll(archive.Read(ctx, memory{raw: raw}, m)); err == nil && int64(len(out)) != m.Size {
			t.Errorf("%d bytes of %d", len(out), m.Size)
		}
	})
}
