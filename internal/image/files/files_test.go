package files_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image/files"
	"github.com/mekcloud/mek/internal/pace"
	"github.com/mekcloud/mek/internal/pace/pacetest"
)

// TestPiecesWhileOthersAsk (I-36): beside others an image is hashed and written a
// piece a turn, whole.
func TestPiecesWhileOthersAsk(t *testing.T) {
	s, _ := open(t)
	c, content := &pacetest.Crowd{}, pattern(2<<20+17)
	ctx := pace.With(t.Context(), c)
	draft, err := s.Write(ctx, id.New(), bytes.NewReader(content), math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	const pieces = 2<<20/pace.Piece + 1
	if c.Worked.Load() != 2*pieces || c.Wrote.Load() != pieces {
		t.Errorf("hashed in %d turns, want twice %d; written in %d, want %d", c.Worked.Load(), pieces, c.Wrote.Load(), pieces)
	}
	st, err := draft.File().Stat()
	if blocks := st.Sys().(*syscall.Stat_t).Blocks; err != nil || st.Size() != int64(len(content)) || blocks*512 > 3<<20 {
		t.Errorf("%d bytes take %d blocks, %v", st.Size(), blocks, err)
	}
	got, err := io.ReadAll(io.NewSectionReader(draft.File(), 0, draft.Size))
	if sum := sha512.Sum512(content); err != nil || !bytes.Equal(got, content) || draft.SHA512 != hex.EncodeToString(sum[:]) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	if err := draft.Keep(ctx, files.Image); err != nil || c.Wrote.Load() != pieces+1 {
		t.Errorf("kept in %d turns: %v", c.Wrote.Load()-pieces, err)
	}
}

func open(t *testing.T) (*files.Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "images")
	s, err := files.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

// names are the files in a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	items, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range items {
		out = append(out, i.Name())
	}
	return out
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return b
}

func TestWriteKeepRead(t *testing.T) {
	s, dir := open(t)
	for _, n := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 9<<20 + 17} {
		image, want := id.New(), pattern(n)
		d, err := s.Write(t.Context(), image, iotest.HalfReader(bytes.NewReader(want)), math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		m, h := md5.Sum(want), sha512.Sum512(want)
		if d.Size != int64(n) || d.MD5 != hex.EncodeToString(m[:]) || d.SHA512 != hex.EncodeToString(h[:]) {
			t.Fatalf("%d bytes: sums %+v", n, d.Sums)
		}
		if _, err := s.Open(image, files.Image); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a draft can be opened as image: %v", err)
		}
		if err := d.Keep(t.Context(), files.Image); err != nil {
			t.Fatal(err)
		}
		b, err := s.Open(image, files.Image)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) || b.Size() != int64(n) {
			t.Fatalf("%d bytes came back as %d, %v", n, len(got), err)
		}
		b.Close()
		for range 2 { // the second time there is nothing left to delete
			if err := s.Delete(image, files.Image); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left := names(t, dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestFailedUploadsLeaveNothing(t *testing.T) {
	s, dir := open(t)
	broken := errors.New("connection reset")
	cases := []struct {
		name  string
		r     io.Reader
		limit int64
		want  fault.Kind
	}{
		{"broken", io.MultiReader(bytes.NewReader(pattern(3<<20)), iotest.ErrReader(broken)), math.MaxInt64, fault.Invalid},
		{"cut", io.MultiReader(bytes.NewReader(pattern(3<<20+5)), iotest.ErrReader(io.ErrUnexpectedEOF)), math.MaxInt64, fault.Invalid},
		{"too large", bytes.NewReader(pattern(3 << 20)), 2 << 20, fault.TooLarge},
	}
	for _, c := range cases {
		if _, err := s.Write(t.Context(), id.New(), c.r, c.limit); !fault.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Write(ctx, id.New(), bytes.NewReader(pattern(9<<20)), math.MaxInt64); !fault.Is(err, fault.Unavailable) {
		t.Errorf("stopped: %v", err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

// A disk that fills up: a file system of 4 MiB.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	full := func(s *files.Store) {
		t.Helper()
		_, err := s.Write(t.Context(), id.New(), bytes.NewReader(pattern(8<<20)), math.MaxInt64)
		if !fault.Is(err, fault.TooLarge) {
			t.Fatalf("a full disk: %v", err)
		}
		if left := names(t, dir); len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
	}
	s, err := files.Open(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	full(s)
	careful, err := files.Open(dir, 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer careful.Close()
	if free, err := careful.Free(); err != nil || free > 1<<20 {
		t.Fatalf("free %d, %v", free, err)
	}
	full(careful)
}

func TestList(t *testing.T) {
	s, dir := open(t)
	kept, staged, torn := id.New(), id.New(), id.New()
	for image, kind := range map[string]files.Kind{kept: files.Image, staged: files.Staged} {
		d, err := s.Write(t.Context(), image, bytes.NewReader(pattern(10)), 10)
		if err == nil {
			err = d.Keep(t.Context(), kind)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Write(t.Context(), torn, bytes.NewReader(pattern(5)), 5); err != nil { // never ended: a crash
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]files.Kind{}
	for _, e := range entries {
		got[e.ID] = e.Kind
		if e.ID == torn {
			if err := s.Remove(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got[kept] != files.Image || got[staged] != files.Staged || got[torn] != files.Partial || got[""] != "" || len(got) != 4 {
		t.Fatalf("listed %v", got)
	}
	if left := names(t, dir); len(left) != 3 {
		t.Fatalf("after removing the torn one: %v", left)
	}
}

// An upload of any size takes no more than 8 MiB.
func TestBoundedMemory(t *testing.T) {
	s, _ := open(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, err := s.Write(t.Context(), id.New(), io.LimitReader(zeros{}, 64<<20), math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Fatalf("64 MiB took %d bytes of memory", used)
	}
	if err := d.Discard(); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func BenchmarkWrite(b *testing.B) {
	s, err := files.Open(b.TempDir(), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(64 << 20)
	for b.Loop() {
		d, err := s.Write(b.Context(), id.New(), io.LimitReader(zeros{}, 64<<20), math.MaxInt64)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Discard(); err != nil {
			b.Fatal(err)
		}
	}
}
