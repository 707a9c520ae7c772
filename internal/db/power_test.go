package db_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/test/report"
)

// started copies a migrated database into a folder of its own.
func started(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := db.CopyFile(context.Background(), from, filepath.Join(dir, "mek.db")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func migrated(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mek.db")
	d, err := db.Open(context.Background(), "sqlite://"+file)
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func put(ctx context.Context, d *db.DB, n int) error {
	return d.Write(ctx, func(tx *db.Tx) error {
		name := fmt.Sprintf("row-%05d", n)
		if _, err := tx.ExecContext(ctx, "INSERT INTO toolkit_facts (name, value) VALUES ($1, $2)", name, strings.Repeat(name, 40)); err != nil {
			return db.Translate(err, "put")
		}
		_, err := db.NextSerial(ctx, tx, "power")
		return err
	})
}

// count reads how many rows there are, and fails when a half transaction is among them.
func count(t testing.TB, d *db.DB) (n, serial int) {
	t.Helper()
	err := errors.Join(d.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM toolkit_facts WHERE name LIKE 'row-%'").Scan(&n),
		d.QueryRowContext(context.Background(), "SELECT COALESCE(MAX(last), 0) FROM serials WHERE name = 'power'").Scan(&serial))
	if err != nil {
		t.Fatal(err)
	}
	return n, serial
}

// The power fails at an operation on the disk, of each seed at many: what was not
// flushed is lost, kept or torn, file by file and write by write. What was
// acknowledged is there, whole, and the database is sound (I-18, I-37).
func TestPowerFailuresOfTheDatabase(t *testing.T) {
	seed := report.Seed(t)
	run := report.Start(t, "F10", seed)
	rng := rand.New(rand.NewPCG(seed, 10))
	from := migrated(t)
	wanted := 500
	if testing.Short() {
		wanted = 60
	}
	end := time.Now().Add(report.Length(t, 0))
	for cuts := 0; cuts < wanted || time.Now().Before(end); {
		n := cutOnce(t, run, rng, from)
		cuts += n
		run.Fault("power", n)
	}
}

// cutOnce records one run of writers and cuts it at random places.
func cutOnce(t *testing.T, run *report.Run, rng *rand.Rand, from string) int {
	dir := started(t, from)
	first, err := os.ReadFile(filepath.Join(dir, "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log []op
	var acked []int // rows acknowledged before each operation
	done := 0
	installShim(t).watch(t, dir, func(o op) (int32, int) {
		mu.Lock()
		defer mu.Unlock()
		log, acked = append(log, o), append(acked, done)
		return 0, 0
	})
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(dir, "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	writes := 40 + rng.IntN(60)
	for n := range writes {
		if err := put(t.Context(), d, n); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		done = n + 1
		mu.Unlock()
		if rng.IntN(25) == 0 {
			checkpoint(t, filepath.Join(dir, "mek.db"))
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	state := &disk{durable: map[string][]byte{"mek.db": first}}
	at, cuts := 0, 0
	for at < len(log) {
		next := min(len(log), at+1+rng.IntN(12))
		for ; at < next; at++ {
			state.do(log[at])
		}
		got := acked[at-1]
		after := state.clone()
		for _, o := range after.pending {
			switch rng.IntN(3) {
			case 0: // lost
			case 1:
				after.apply(o, len(o.data))
			case 2: // torn at a sector
				after.apply(o, min(len(o.data), 512*rng.IntN(1+len(o.data)/512)))
			}
		}
		opened(t, run, after, got, writes, fmt.Sprintf("operation %d of %d, %s of %s", at, len(log), log[at-1].kind, log[at-1].file))
		cuts++
	}
	return cuts
}

// checkpoint moves the log into the file, as SQLite does from time to time.
func checkpoint(t *testing.T, file string) {
	t.Helper()
	d, err := db.OpenAsIs(t.Context(), "sqlite://"+file)
	if err == nil {
		var busy, pages, moved int
		err = errors.Join(d.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved), d.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// opened starts on what a failure left.
func opened(t *testing.T, run *report.Run, left *disk, acked, most int, where string) {
	t.Helper()
	dir := t.TempDir()
	left.put(t, dir)
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(dir, "mek.db"))
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	defer d.Close()
	if err := d.Verify(t.Context()); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	n, serial := count(t, d)
	if n < acked || n > most || n != serial {
		t.Fatalf("%s: %d rows and serial %d; %d were acknowledged", where, n, serial, acked)
	}
	run.Operations(1)
	if err := put(t.Context(), d, most+1); err != nil {
		t.Fatalf("%s: a write afterwards: %v", where, err)
	}
}

// The k-th operation on the disk fails, once or from then on, for every k: a write
// is refused clearly or done, never half; reads go on; when the disk is well again
// so is the database, without a restart (I-37).
func TestDiskErrorsOfTheDatabase(t *testing.T) {
	run := report.Start(t, "F7", 0)
	from := migrated(t)
	for _, c := range []struct {
		name string
		code map[string]int32
		ever bool
	}{
		{"ENOSPC once", map[string]int32{"write": sqlite3.SQLITE_FULL}, false},
		{"ENOSPC until there is room", map[string]int32{"write": sqlite3.SQLITE_FULL}, true},
		{"EIO once", map[string]int32{"write": sqlite3.SQLITE_IOERR_WRITE, "sync": sqlite3.SQLITE_IOERR_FSYNC, "truncate": sqlite3.SQLITE_IOERR_TRUNCATE}, false},
		{"EIO for a while", map[string]int32{"write": sqlite3.SQLITE_IOERR_WRITE, "sync": sqlite3.SQLITE_IOERR_FSYNC, "truncate": sqlite3.SQLITE_IOERR_TRUNCATE}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			stride := 4
			switch {
			case testing.Short():
				stride = 9
			case os.Getenv("MEK_SOAK") != "":
				stride = 1
			}
			for k := 1; ; k += stride {
				if !errorOnce(t, from, k, c.code, c.ever) {
					t.Logf("%d operations", k-1)
					if k < 20 {
						t.Fatal("hardly anything was tried")
					}
					return
				}
				run.Fault(c.name, 1)
				run.Operations(1)
			}
		})
	}
}

func errorOnce(t *testing.T, from string, k int, code map[string]int32, ever bool) bool {
	t.Helper()
	dir := started(t, from)
	file := filepath.Join(dir, "mek.db")
	var mu sync.Mutex
	seen, hit, armed := 0, false, false
	installShim(t).watch(t, dir, func(o op) (int32, int) {
		mu.Lock()
		defer mu.Unlock()
		fail, can := code[o.kind]
		if !armed || !can {
			return 0, 0
		}
		if seen++; seen < k || seen > k && !ever {
			return 0, 0
		}
		hit = true
		return fail, len(o.data) / 2 // half of it is on the disk
	})
	arm := func(on bool) {
		mu.Lock()
		defer mu.Unlock()
		armed = on
	}
	d, err := db.Open(t.Context(), "sqlite://"+file)
	if err != nil {
		t.Fatal(err)
	}
	arm(true)
	acked, refused := 0, 0
	for n := range 24 {
		switch err := put(t.Context(), d, n); {
		case err == nil:
			acked++
		case !fault.Is(err, fault.Unavailable):
			t.Fatalf("operation %d: a failing disk is %v", k, err)
		default:
			refused++
		}
		if got, serial := count(t, d); got != acked || got != serial {
			t.Fatalf("operation %d: %d rows and serial %d, %d were acknowledged", k, got, serial, acked)
		}
	}
	arm(false)
	if err := put(t.Context(), d, 100); err != nil {
		t.Fatalf("operation %d: the disk is well again, and a write says %v", k, err)
	}
	acked++
	if err := d.Close(); err != nil {
		t.Fatalf("operation %d: close: %v", k, err)
	}
	if d, err = db.Open(t.Context(), "sqlite://"+file); err != nil {
		t.Fatalf("operation %d: open again: %v", k, err)
	}
	defer d.Close()
	if err := d.Verify(t.Context()); err != nil {
		t.Fatalf("operation %d: %v", k, err)
	}
	if got, serial := count(t, d); got != acked || got != serial {
		t.Fatalf("operation %d: %d rows and serial %d after a restart, %d were acknowledged", k, got, serial, acked)
	}
	return hit
}
