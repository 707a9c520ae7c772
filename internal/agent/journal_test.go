package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/test/report"
	"github.com/mekcloud/mek/test/smalldisk"
)

func document(t testing.TB, revision int64, body any) record {
	t.Helper()
	d, err := hostlink.NewDocument("guests", revision, body)
	if err != nil {
		t.Fatal(err)
	}
	return record{Document: &d}
}

func TestJournalSurvivesACutAtEveryByte(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	var after []saved // state after each record
	var ends []int64
	for _, r := range []record{document(t, 1, "a"), {Result: &result{Token: "t", At: time.UnixMicro(5).UTC(), Value: json.RawMessage(`{"x":1}`)}},
		document(t, 2, "b"), {Sequence: 9}, {Forget: "t"}} {
		if err := j.append(r); err != nil {
			t.Fatal(err)
		}
		after, ends = append(after, j.snapshot()), append(ends, j.size)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		torn := t.TempDir()
		if err := os.WriteFile(filepath.Join(torn, "journal"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(torn)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := newSaved()
		for i, end := range ends {
			if int64(cut) >= end {
				want = after[i]
			}
		}
		if d := cmp.Diff(want, j.snapshot(), cmp.AllowUnexported(saved{}, result{})); d != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, d)
		}
		if err := j.append(document(t, 7, "after the cut")); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if j, err = OpenJournal(torn); err != nil || j.snapshot().documents["guests"].Revision != 7 {
			t.Fatalf("cut at %d: what was appended afterwards is lost: %v", cut, err)
		}
		_ = j.Close() // only read
	}
}

func TestJournalIsCompacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 300<<10)
	for i := range int64(40) {
		if err := j.append(document(t, i+1, big)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.append(record{Sequence: 5}); err != nil {
		t.Fatal(err)
	}
	if j.size > 2*compactAt {
		t.Errorf("journal of one document has %d bytes", j.size)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = OpenJournal(dir); err != nil {
		t.Fatal(err)
	}
	if got := j.snapshot(); got.documents["guests"].Revision != 40 || got.sequence != 5 {
		t.Errorf("after compaction: revision %d, sequence %d", got.documents["guests"].Revision, got.sequence)
	}
	_ = j.Close() // only read
}

func FuzzJournal(f *testing.F) {
	var whole []byte
	for _, r := range []record{document(f, 1, map[string]string{"a": "b"}), {Sequence: 4}, {Forget: "t"}} {
		buf, err := frame(r)
		if err != nil {
			f.Fatal(err)
		}
		whole = append(whole, buf...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, '{'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, b := newSaved(), newSaved()
		n := replay(raw, &a)
		if n > len(raw) || replay(raw[:n], &b) != n {
			t.Fatalf("%d bytes of %d are intact, but not alone", n, len(raw))
		}
		if d := cmp.Diff(a, b, cmp.AllowUnexported(saved{}, result{})); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte("MemTotal:       16384000 kB\nMemFree: 1 kB\n"))
	f.Add([]byte("MemTotal: -1 kB"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if mib, err := memoryMiB(raw); err == nil && mib < 0 {
			t.Fatalf("%d MiB", mib)
		}
	})
}

func TestMeasureThisMachine(t *testing.T) {
	t.Parallel()
	f, err := Measure(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if f.CPUs < 1 || f.MemoryMiB < 64 || f.DiskGiB < 1 || f.Arch == "" {
		t.Errorf("facts %+v", f)
	}
	dir := filepath.Join(t.TempDir(), "sub")
	a, err := Identity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Identity(dir); err != nil || a != b {
		t.Errorf("identity changed from %s to %s: %v", a, b, err)
	}
}

// A host whose disk is full writes in its journal what it has to remove (F7).
func TestTheJournalHasRoomOnAFullDisk(t *testing.T) {
	dir := smalldisk.Dir(t, "16m")
	run := report.Start(t, "F7", 0)
	j, err := OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	run.Fault("disk full", 1)
	body := json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)
	written := 0
	for ; written < 100; written++ {
		if err := j.append(record{Result: &result{Token: fmt.Sprint(written), Value: body}}); err != nil {
			break
		}
	}
	if written < 20 || written == 100 {
		t.Errorf("%d records of 100 kB fit into a full disk", written)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "filler")), j.append(record{Sequence: 7}), j.Close()); err != nil {
		t.Fatal(err)
	}
	if j, err = OpenJournal(dir); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if got := j.snapshot(); len(got.results) != written || got.sequence != 7 {
		t.Errorf("%d results and sequence %d", len(got.results), got.sequence)
	}
}
