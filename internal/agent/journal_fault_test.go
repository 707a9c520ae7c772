package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/test/report"
)

// memory is a disk that knows what would be left after a power failure, and can
// fail.
type memory struct {
	names, flushed map[string]*inode // flushed: as the folder was flushed last
	fail           func() error      // asked before each change
}

type inode struct {
	now, flushed []byte
}

func newMemory() *memory {
	return &memory{names: map[string]*inode{}, flushed: map[string]*inode{}, fail: func() error { return nil }}
}

func (m *memory) Open(path string, flags int) (file, error) {
	n := m.names[path]
	if n == nil {
		if err := m.fail(); err != nil {
			return nil, err
		}
		n = &inode{}
		m.names[path] = n
	}
	if flags&os.O_TRUNC != 0 {
		n.now = nil
	}
	return &handle{m, n, 0}, nil
}

func (m *memory) Rename(from, to string) error {
	if err := m.fail(); err != nil {
		return err
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *memory) Flush(string) error {
	if err := m.fail(); err != nil {
		return err
	}
	m.flushed = maps.Clone(m.names)
	return nil
}

// cut is what a power failure leaves: names as they were flushed, or as they are;
// of each file what was flushed, and some of the rest.
func (m *memory) cut(rng *rand.Rand) *memory {
	names := m.flushed
	if rng.IntN(2) == 0 {
		names = m.names
	}
	out := newMemory()
	for name, n := range names {
		content := bytes.Clone(n.flushed)
		switch rng.IntN(3) {
		case 1:
			content = bytes.Clone(n.now)
		case 2:
			if len(n.now) > len(content) {
				content = append(content, n.now[len(content):len(content)+rng.IntN(len(n.now)-len(content))]...)
			}
		}
		out.names[name] = &inode{content, content}
	}
	out.flushed = maps.Clone(out.names)
	return out
}

type handle struct {
	m  *memory
	n  *inode
	at int64
}

func (h *handle) Read(b []byte) (int, error) {
	n := copy(b, h.n.now[min(h.at, int64(len(h.n.now))):])
	h.at += int64(n)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (h *handle) Write(b []byte) (int, error) {
	n, err := h.WriteAt(b, h.at)
	h.at += int64(n)
	return n, err
}

func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	n := len(b)
	err := h.m.fail()
	if err != nil {
		n /= 2
	}
	grown := make([]byte, max(len(h.n.now), int(at)+n))
	copy(grown, h.n.now)
	copy(grown[at:], b[:n])
	h.n.now = grown
	return n, err
}

func (h *handle) Truncate(size int64) error {
	if err := h.m.fail(); err != nil {
		return err
	}
	grown := make([]byte, size)
	copy(grown, h.n.now)
	h.n.now = grown
	return nil
}

func (h *handle) Reserve(int64, int64) error { return unix.EOPNOTSUPP }

func (h *handle) Sync() error {
	if err := h.m.fail(); err != nil {
		return err
	}
	h.n.flushed = bytes.Clone(h.n.now)
	return nil
}

func (h *handle) Close() error { return nil }

// script appends what an agent appends, large enough to be compacted now and
// then; each is told to done with its error.
func script(t *testing.T, j *Journal, rounds int, done func(r record, err error)) {
	t.Helper()
	big := bytes.Repeat([]byte("x"), 900)
	for n := range rounds {
		for _, r := range []record{
			document(t, int64(n+1), string(big)), {Result: &result{Token: fmt.Sprint("t", n), At: time.UnixMicro(5).UTC(), Value: json.RawMessage(`1`)}},
			{Sequence: int64(10 * n)}, {Forget: fmt.Sprint("t", n-1)},
		} {
			done(r, j.append(r))
		}
	}
}

func known(t *testing.T, m *memory) saved {
	t.Helper()
	j, err := openJournal(m, "d/journal")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.append(record{Forget: "nobody"}); err != nil {
		t.Fatal(err)
	}
	return j.snapshot()
}

func differ(a, b saved) string { return cmp.Diff(a, b, cmp.AllowUnexported(saved{}, result{})) }

// The power fails at every operation on the journal's disk: what was acknowledged
// is known afterwards (F10, I-18).
func TestPowerFailuresOfTheJournal(t *testing.T) {
	seed := report.Seed(t)
	run := report.Start(t, "F10", seed)
	rng := rand.New(rand.NewPCG(seed, 11))
	type cut struct {
		left  *memory
		acked int
	}
	m := newMemory()
	j, err := openJournal(m, "d/journal")
	if err != nil {
		t.Fatal(err)
	}
	j.large = 4 << 10
	var cuts []cut
	states := []saved{j.snapshot()}
	m.fail = func() error {
		cuts = append(cuts, cut{m.cut(rng), len(states) - 1})
		return nil
	}
	script(t, j, 12, func(_ record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, j.snapshot())
	})
	for i, c := range cuts {
		got := known(t, c.left)
		next := states[min(c.acked+1, len(states)-1)]
		if differ(got, states[c.acked]) != "" && differ(got, next) != "" {
			t.Fatalf("cut %d: %s", i, differ(states[c.acked], got))
		}
	}
	run.Fault("power", len(cuts))
	run.Operations(len(cuts))
	if len(cuts) < 90 {
		t.Fatalf("only %d cuts", len(cuts))
	}
}

// The k-th operation on the journal's disk fails, once or for a while, for every
// k: what was acknowledged is known after a restart, and nothing is refused for
// longer than the disk is bad (F7).
func TestDiskErrorsOfTheJournal(t *testing.T) {
	run := report.Start(t, "F7", 0)
	for _, c := range []struct {
		name string
		err  error
		ever bool
	}{{"EIO once", unix.EIO, false}, {"EIO for a while", unix.EIO, true}, {"ENOSPC once", unix.ENOSPC, false}, {"ENOSPC for a while", unix.ENOSPC, true}} {
		t.Run(c.name, func(t *testing.T) {
			for k := 1; ; k++ {
				m := newMemory()
				j, err := openJournal(m, "d/journal")
				if err != nil {
					t.Fatal(err)
				}
				j.large = 2 << 10
				n := 0
				m.fail = func() error {
					if n++; n == k || n > k && c.ever {
						return c.err
					}
					return nil
				}
				acked := j.snapshot()
				script(t, j, 7, func(r record, err error) {
					if err == nil {
						acked.apply(r)
					} else if !errors.Is(err, c.err) {
						t.Fatalf("operation %d: %v", k, err)
					}
				})
				if n < k {
					t.Logf("%d operations", k-1)
					if k < 50 {
						t.Fatal("hardly anything was tried")
					}
					return
				}
				run.Fault(c.name, 1)
				m.fail = func() error { return nil }
				last := record{Sequence: 1 << 40}
				if err := j.append(last); err != nil {
					t.Fatalf("operation %d: the disk is well again, and an append says %v", k, err)
				}
				acked.apply(last)
				if d := differ(acked, j.snapshot()); d != "" {
					t.Fatalf("operation %d: %s", k, d)
				}
				if d := differ(acked, known(t, m)); d != "" {
					t.Fatalf("operation %d, after a restart: %s", k, d)
				}
			}
		})
	}
}
