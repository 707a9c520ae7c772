package shipping

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
)

// world is a database whose log is shipped.
type world struct {
	t        *testing.T
	file, to string
	clock    *clock.Fake
	ship     *Shipper
	db       *db.DB
	rows     int
	epoch    int64
	waiting  int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, file: filepath.Join(dir, "db", "mek.db"), to: filepath.Join(dir, "log"), clock: clock.NewFake(time.Unix(1e9, 0))}
	w.must(os.Mkdir(filepath.Dir(w.file), 0o700))
	w.must(w.open().Close())
	w.start()
	w.must(w.db.Write(t.Context(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(t.Context(), "CREATE TABLE shipped (id INTEGER PRIMARY KEY, text TEXT)")
		return err
	}))
	t.Cleanup(w.stop)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() *db.DB {
	w.t.Helper()
	d, err := db.Open(w.t.Context(), "sqlite://"+w.file)
	w.must(err)
	return d
}

func (w *world) start() {
	w.t.Helper()
	var err error
	w.ship, err = Start(w.t.Context(), Config{Database: w.file, Epoch: w.epoch, Dir: w.to, Waiting: w.waiting, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Manifest: Manifest{Format: Format, DataDir: "/data", Host: "here", MasterKey: "key"}})
	w.must(err)
	w.db = w.open()
	w.must(w.db.LeaveCheckpoints(w.t.Context()))
}

// stop ends the process in its order: the database first.
func (w *world) stop() {
	if w.ship == nil {
		return
	}
	w.must(w.db.Close())
	w.must(w.ship.Close())
	w.ship = nil
}

// write commits n rows of a kilobyte, each alone.
func (w *world) write(n int) {
	w.t.Helper()
	for range n {
		w.must(w.db.Write(context.WithoutCancel(w.t.Context()), func(tx *db.Tx) error {
			_, err := tx.ExecContext(w.t.Context(), "INSERT INTO shipped (text) VALUES ($1)", strings.Repeat("x", 1000))
			return err
		}))
		w.rows++
	}
}

// look is one round of Run.
func (w *world) look() error {
	begun := w.clock.Now()
	err := w.ship.ship(w.t.Context())
	w.ship.note(begun, err)
	return err
}

// restored counts the rows of the database that the folder holds.
func (w *world) restored() int {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "restored.db")
	_, err := Restore(w.t.Context(), w.to, file)
	w.must(err)
	d, err := db.OpenAsIs(w.t.Context(), "sqlite://"+file)
	w.must(err)
	defer d.Close()
	w.must(d.Verify(w.t.Context()))
	var n int
	w.must(d.QueryRowContext(w.t.Context(), "SELECT COUNT(*) FROM shipped").Scan(&n))
	return n
}

func (w *world) expect(when string) {
	w.t.Helper()
	if n := w.restored(); n != w.rows {
		w.t.Fatalf("%s: %d of %d rows are restored", when, n, w.rows)
	}
}

func TestShippedRowsComeBack(t *testing.T) {
	w := newWorld(t)
	for round := range 4 { // far beyond a checkpoint, which comes every 1000 pages
		w.write(400)
		w.must(w.look())
		w.expect(fmt.Sprint("round ", round))
	}
	w.write(10) // between two looks
	if n := w.restored(); n != w.rows-10 {
		t.Errorf("%d rows are restored, want those of the last look, %d", n, w.rows-10)
	}
	w.stop()
	w.expect("after an orderly end")
	w.start()
	w.write(10)
	w.must(w.look())
	w.expect("after a start")
}

// TestRowsOfADeadServerAreShipped: what was committed after the last look is in
// the log beside the database, and the next start ships it.
func TestRowsOfADeadServerAreShipped(t *testing.T) {
	w := newWorld(t)
	w.write(100)
	w.must(w.look())
	w.write(10)
	left := filepath.Join(t.TempDir(), "db") // as a dead process leaves it
	w.must(os.CopyFS(left, os.DirFS(filepath.Dir(w.file))))
	w.stop()
	w.must(os.RemoveAll(filepath.Dir(w.file)))
	w.must(os.Rename(left, filepath.Dir(w.file)))
	w.start()
	w.must(w.look())
	w.expect("after the next start")
}

func TestAFolderThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.write(10)
	w.must(w.look())
	aside := w.to + ".aside"
	w.must(os.Rename(w.to, aside))
	w.must(os.WriteFile(w.to, nil, 0o600)) // nothing can be made below a file
	w.write(1500)
	if w.look() == nil {
		t.Fatal("a folder that is gone must be noticed")
	}
	w.clock.Advance(time.Minute)
	if behind, err := w.ship.Behind(); behind != time.Minute || err == nil {
		t.Errorf("behind by %v, %v", behind, err)
	}
	w.must(os.Remove(w.to))
	w.must(os.Rename(aside, w.to))
	w.must(w.look())
	if behind, err := w.ship.Behind(); behind != 0 || err != nil {
		t.Errorf("behind by %v, %v", behind, err)
	}
	w.expect("when the folder is back")
}

// TestEachEpochHasItsHistory: a restored database is another one, and the log of
// the one before stays for a while.
func TestEachEpochHasItsHistory(t *testing.T) {
	w := newWorld(t)
	w.write(5)
	for w.epoch = 1; w.epoch < 5; w.epoch++ {
		w.stop()
		w.start()
		w.write(1)
		w.must(w.look())
		w.expect(fmt.Sprint("epoch ", w.epoch))
	}
	list, err := histories(w.to)
	w.must(err)
	if fmt.Sprint(list) != "[{4 0} {3 0} {2 0}]" {
		t.Errorf("histories %v", list)
	}
	w.must(os.MkdirAll(history{epoch: 9}.dir(w.to), 0o700)) // begun, and the server died
	w.expect("with a history that never came to anything")
}

func TestAFolderOfAnotherCloudIsRefused(t *testing.T) {
	w := newWorld(t)
	w.stop()
	_, err := Start(t.Context(), Config{Database: w.file, Dir: w.to, Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Manifest: Manifest{Format: Format, DataDir: "/other", Host: "here", MasterKey: "key"}})
	if err == nil || !strings.Contains(err.Error(), "a folder of its own") {
		t.Errorf("got %v", err)
	}
}

// TestTheLogIsFolded holds that a log which is shipped stays short, and that
// looking at it waits for no writer: only folding takes their lock, in their turn.
func TestTheLogIsFolded(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.Write(t.Context(), func(tx *db.Tx) error {
		for range 3000 {
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO shipped (text) VALUES ($1)", strings.Repeat("x", 2000)); err != nil {
				return err
			}
			w.rows++
		}
		return nil
	}))
	w.must(w.db.Alone(func() error { // as a writer that goes on: its lock is taken
		other := w.open()
		defer other.Close()
		return other.Write(t.Context(), func(*db.Tx) error { return w.look() })
	}))
	if got := w.ship.db.SyncDiagnostic(); got.CheckpointMode != "" {
		t.Errorf("a look waits for the lock of writers: %+v", got)
	}
	long := w.ship.db.SyncDiagnostic().LastSyncedWALOffset
	w.must(w.ship.fold(t.Context(), w.db))
	w.write(1)
	w.must(w.look())
	if short := w.ship.db.SyncDiagnostic().LastSyncedWALOffset; long < longLog || short > longLog/10 {
		t.Errorf("the log was %d bytes long, and %d when it had been folded", long, short)
	}
	if got := w.restored(); got != w.rows {
		t.Errorf("%d of %d rows came back", got, w.rows)
	}
}
