package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/test/smalldisk"
)

func fresh(t testing.TB, c Config) *Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s := New(c)
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := s.PutContainer(context.Background(), "a", "c", nil, event.Record{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func keyOf(name string) objectstore.Key {
	return objectstore.Key{Account: "a", Container: "c", Name: name}
}

func store(t testing.TB, s *Store, name string, body []byte) {
	t.Helper()
	if _, err := s.Put(context.Background(), objectstore.Put{Key: keyOf(name), Size: -1}, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

// files are all files of bodies below a folder.
func filesBelow(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSweepTakesGarbageOnly(t *testing.T) {
	s := fresh(t, Config{})
	store(t, s, "large", make([]byte, 100<<10))
	for _, name := range []string{"tmp/07" + strings.Repeat("ab", 8), "data/07/07" + strings.Repeat("cd", 8), "quarantine/07" + strings.Repeat("ef", 8)} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "tmp", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) != 1 || found[0].Code != "I-08/object-garbage" {
		t.Fatalf("%+v, %v", found, err)
	}
	started, release := make(chan struct{}), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { // an upload that the sweep must leave alone
		body := &slowBody{started: started, release: release}
		if _, err := s.Put(context.Background(), objectstore.Put{Key: keyOf("slow"), Size: -1}, body); err != nil {
			t.Error(err)
		}
	})
	<-started
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(release)
	writer.Wait()
	if left := filesBelow(t, filepath.Join(s.Dir, "tmp")); len(left) != 1 {
		t.Fatalf("left %v", left)
	}
	if left := filesBelow(t, filepath.Join(s.Dir, "data")); len(left) != 2 {
		t.Fatalf("left %v", left)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) != 0 {
		t.Fatalf("%+v, %v", found, err)
	}
}

// slowBody waits in the middle.
type slowBody struct {
	started, release chan struct{}
	sent             int
}

func (b *slowBody) Read(p []byte) (int, error) {
	switch b.sent++; {
	case b.sent == 20:
		close(b.started)
		<-b.release
	case b.sent > 40:
		return 0, io.EOF
	}
	return len(p[:min(len(p), 16<<10)]), nil
}

func TestScrubFindsRot(t *testing.T) {
	s := fresh(t, Config{})
	for _, name := range []string{"good", "rotten", "lost"} {
		store(t, s, name, bytes.Repeat([]byte(name), 20<<10))
	}
	if err := s.scrub(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	for _, f := range filesBelow(t, filepath.Join(s.Dir, "data")) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		switch string(b[:4]) {
		case "rott":
			b[len(b)/2] ^= 1
			err = os.WriteFile(f, b, 0o600)
		case "lost":
			err = os.Remove(f)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 4 { // one file at a time, round and round
		if err := s.scrub(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"rotten", "lost"} {
		if _, _, err := s.Open(t.Context(), keyOf(name)); !fault.Is(err, fault.Internal) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, content, err := s.Open(t.Context(), keyOf("good")); err != nil {
		t.Fatal(err)
	} else if err := content.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := s.Check(t.Context())
	var codes []string
	for _, f := range found {
		codes = append(codes, f.Code+" "+f.Subject)
	}
	slices.Sort(codes)
	if strings.Join(codes, ", ") != "I-08/object-damaged rotten, I-08/object-lost lost" || err != nil {
		t.Fatalf("%v, %v", codes, err)
	}
	store(t, s, "rotten", []byte("new"))
	if _, err := s.Delete(t.Context(), keyOf("lost"), nil, event.Record{}); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Check(t.Context()); err != nil || len(found) > 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	if left := filesBelow(t, filepath.Join(s.Dir, "quarantine")); len(left) > 0 {
		t.Fatalf("left %v", left)
	}
}

// A disk that fills up: a file system of 40 MiB.
func TestDiskFull(t *testing.T) {
	dir := smalldisk.Dir(t, "64m")
	s := fresh(t, Config{Dir: filepath.Join(dir, "objects"), Reserve: 16 << 20})
	ctx := t.Context()
	fill := func(size int, announce bool) (n int) {
		for ; ; n++ {
			p := objectstore.Put{Key: keyOf(fmt.Sprint(size, announce, n)), Size: -1}
			if announce {
				p.Size = int64(size)
			}
			if _, err := s.Put(ctx, p, bytes.NewReader(make([]byte, size))); err != nil {
				if f := fault.As(err); f.Kind != fault.Unavailable || f.Code != objectstore.CodeFull {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	large, announced, small := fill(9<<20, false), fill(5<<20, true), fill(30<<10, true)
	if large < 1 || small < 1 {
		t.Fatalf("%d large, %d announced, %d small objects", large, announced, small)
	}
	if free, err := s.room(); err != nil || free < -(16<<20) {
		t.Fatalf("%d bytes beyond the reserve, %v", free, err)
	}
	if found, err := s.Check(ctx); err != nil || len(found) > 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	if left := filesBelow(t, filepath.Join(s.Dir, "tmp")); len(left) > 0 {
		t.Fatalf("left %v", left)
	}
	if _, err := s.Delete(ctx, keyOf("9437184 false 0"), nil, event.Record{}); err != nil {
		t.Fatal(err)
	}
	store(t, s, "again", make([]byte, 1<<20))
}

func TestExpirerAndReaper(t *testing.T) {
	k := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := fresh(t, Config{Clock: k})
	ctx := t.Context()
	for i := range 5 {
		p := objectstore.Put{Key: keyOf(fmt.Sprint(i)), Size: -1, DeleteAt: k.Now().Add(time.Duration(i) * time.Minute)}
		if _, err := s.Put(ctx, p, bytes.NewReader(make([]byte, 50<<10))); err != nil {
			t.Fatal(err)
		}
	}
	k.Advance(150 * time.Second)
	if err := s.expireObjects(ctx); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Container(ctx, "a", "c"); err != nil || c.Objects != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	for i := range 3 * reapBatch {
		store(t, s, fmt.Sprint("many", i), []byte("x"))
	}
	if _, _, err := s.PutContainer(ctx, "a", "c", func(c *objectstore.Container, _ bool) error { c.Versioning = objectstore.Versioned; return nil }, event.Record{}); err != nil {
		t.Fatal(err)
	}
	for i := range reapBatch + 1 {
		store(t, s, fmt.Sprint("many", i), make([]byte, 33<<10*(i%2)+1))
	}
	if _, _, err := s.PutContainer(ctx, "a", "empty", nil, event.Record{}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAccount(ctx, "a", event.Record{}); err != nil {
		t.Fatal(err)
	}
	if err := s.reap(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Account(ctx, "a"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("after the reaper: %v", err)
	}
	if found, err := s.Check(ctx); err != nil || len(found) > 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	if left := filesBelow(t, filepath.Join(s.Dir, "data")); len(left) > 0 {
		t.Fatalf("left %v", left)
	}
	if s.Totals() != (Totals{}) {
		t.Fatalf("%+v", s.Totals())
	}
}

// Records of many writers come into the audit log in one order, each once,
// whatever fails on the way.
func TestAuditIsExportedOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := fresh(t, Config{})
		ctx := event.WithActor(t.Context(), event.Actor{UserID: "u", RequestID: "req-1"})
		const writers, each = 4, 150
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range each {
					name := fmt.Sprint(w, "-", i)
					p := objectstore.Put{Key: keyOf(name), Size: -1, Event: event.Record{Service: "object-store", Action: "create", Kind: "object", Object: name}}
					if _, err := s.Put(ctx, p, strings.NewReader("x")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		sink := &failingSink{to: outboxSink{d}}
		for range 30 {
			_ = s.export(ctx, sink) // fails half of the time, before or after the commit
		}
		all.Wait()
		if err := s.export(ctx, outboxSink{d}); err != nil {
			t.Fatal(err)
		}
		if _, err := outbox.Publish(ctx, d); err != nil {
			t.Fatal(err)
		}
		entries, err := outbox.Read(ctx, d, 0, 10000)
		if err != nil || len(entries) != writers*each {
			t.Fatalf("%d records, %v", len(entries), err)
		}
		next := make([]int, writers)
		for _, e := range entries {
			var w, i int
			if _, err := fmt.Sscanf(e.Record.Object, "%d-%d", &w, &i); err != nil || i != next[w] || e.Record.UserID != "u" || e.Record.RequestID != "req-1" {
				t.Fatalf("%+v, want %d of writer %d", e, next[w], w)
			}
			next[w]++
		}
		before := s.sequence
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := New(Config{Dir: s.Dir})
		if err := again.Ready(); err != nil || again.sequence != before {
			t.Fatalf("sequence %d, then %d, %v", before, again.sequence, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

type failingSink struct {
	to Sink
	n  int
}

func (f *failingSink) Take(ctx context.Context, store string, events []waiting) error {
	lost := errors.New("the connection was lost")
	switch f.n++; f.n % 4 {
	case 1:
		return lost
	case 2:
		return errors.Join(f.to.Take(ctx, store, events), lost)
	}
	return f.to.Take(ctx, store, events)
}
