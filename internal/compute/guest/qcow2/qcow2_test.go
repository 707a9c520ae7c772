package qcow2

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

// TestEmptyAgainstQemuImg lets the format's own tool judge what we write.
func TestEmptyAgainstQemuImg(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	if err := os.WriteFile(base, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1 << 20, 1<<30 + 1, 5 << 40} {
		for _, over := range []Backing{{}, {base, "raw"}} {
			path := filepath.Join(dir, "disk.qcow2")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := Empty(f, size, over); err != nil {
				t.Fatal(err)
			}
			var info struct {
				VirtualSize int64  `json:"virtual-size"`
				ActualSize  int64  `json:"actual-size"`
				Backing     string `json:"backing-filename"`
				Format      string `json:"backing-filename-format"`
			}
			out := tool(t, "qemu-img", "info", "-f", "qcow2", "--output=json", path)
			if err := json.Unmarshal(out, &info); err != nil {
				t.Fatal(err)
			}
			if want := (size + 511) &^ 511; info.VirtualSize != want || info.Backing != over.Name || info.Format != over.Format {
				t.Errorf("size %d over %q: %s", size, over.Name, out)
			}
			if info.ActualSize > 300<<10 {
				t.Errorf("an empty disk of %d bytes takes %d", size, info.ActualSize)
			}
			tool(t, "qemu-img", "check", "-f", "qcow2", path)
			if over.Name == "" {
				if got, err := Size(f, "qcow2"); err != nil || got != info.VirtualSize {
					t.Errorf("size read back %d, error %v", got, err)
				}
			} else if _, err := Size(f, "qcow2"); !fault.Is(err, fault.Invalid) {
				t.Errorf("a base with a base of its own was accepted: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestImagesThatReferElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "evil.qcow2")
	tool(t, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "data")+",data_file_raw=on", path, "1M")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Size(f, "qcow2"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an external data file was accepted: %v", err)
	}
}

func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func FuzzHeaderSize(f *testing.F) {
	head := &bytesAt{}
	if err := Empty(head, 1<<30, Backing{}); err != nil {
		f.Fatal(err)
	}
	f.Add(head.b[:qcowHeaderBytes])
	f.Add([]byte("QFI\xfb\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if size, err := headerSize(data); err == nil && (size < 0 || size > MaxBytes) {
			t.Errorf("size %d", size)
		}
	})
}

type bytesAt struct{ b []byte }

func (w *bytesAt) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(w.b) {
		w.b = append(w.b, make([]byte, need-len(w.b))...)
	}
	return copy(w.b[at:], p), nil
}
