package shipping

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/test/report"
)

// away takes the folder away, as a disk that is unmounted leaves its mount point.
func (w *world) away() (back func()) {
	w.t.Helper()
	aside := w.to + ".aside"
	w.must(os.Rename(w.to, aside))
	w.must(os.Mkdir(w.to, 0o700))
	return func() {
		w.t.Helper()
		list, err := os.ReadDir(w.to)
		w.must(err)
		if len(list) > 0 {
			w.t.Errorf("%d files were written where the folder was", len(list))
		}
		w.must(os.Remove(w.to))
		w.must(os.Rename(aside, w.to))
	}
}

// fill writes while the folder is away, and says how much has waited at most.
func (w *world) fill(rounds int) (most int64) {
	w.t.Helper()
	for range rounds {
		w.must(w.db.Write(w.t.Context(), func(tx *db.Tx) error {
			_, err := tx.ExecContext(w.t.Context(), "UPDATE shipped SET text = hex(randomblob(500))")
			return err
		}))
		w.clock.Advance(lookEvery)
		if w.look() == nil {
			w.t.Fatal("a folder that is gone must be noticed")
		}
		waiting, err := sizeOf(w.ship.db.LTXLevelDir(0))
		w.must(err)
		most = max(most, waiting)
	}
	return most
}

// TestTheLogThatWaitsIsBounded: a folder may be away for as long as it likes. What
// waits for it does not grow without end, and when it is back it has everything
// within a moment, across a restart as well (F7).
func TestTheLogThatWaitsIsBounded(t *testing.T) {
	for name, restart := range map[string]bool{"same process": false, "restarted meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			run := report.Start(t, "F7", 0)
			w := newWorld(t)
			w.stop()
			w.waiting = 200 << 10
			w.start()
			w.write(100)
			w.must(w.look())
			back := w.away()
			run.Fault("folder of the log away", 1)
			size := int64(0)
			most := w.fill(40)
			if info, err := os.Stat(w.file); err == nil {
				size = info.Size()
			}
			if limit := 2*size + 2*size + 2*w.waiting; most > limit {
				run.Violation("%d bytes waited for the folder, of a database of %d", most, size)
			}
			run.Measured("bytes that waited", most)
			if w.ship.anew == no {
				t.Fatal("the log was never dropped: there was not enough of it")
			}
			back()
			if restart {
				w.stop()
				w.start()
			}
			w.must(w.look())
			w.expect("when the folder is back")
			for range 5 {
				w.write(30)
				w.must(w.look())
				w.expect("and goes on")
			}
			if w.ship.anew != no || w.ship.wanted() != no {
				t.Error("the new copy is never complete")
			}
			w.stop()
			w.start()
			w.write(5)
			w.must(w.look())
			w.expect("after another start")
			list, err := histories(w.to)
			w.must(err)
			if len(list) < 2 {
				t.Errorf("the log of before is gone: %v", list)
			}
		})
	}
}

// TestAFolderThatWasEmptied: nothing is written into it that would be of no use
// without what is gone; the next start begins with a copy.
func TestAFolderThatWasEmptied(t *testing.T) {
	w := newWorld(t)
	w.write(50)
	w.must(w.look())
	w.must(os.RemoveAll(w.to))
	w.must(os.Mkdir(w.to, 0o700))
	w.write(50)
	if w.look() == nil {
		t.Fatal("an emptied folder must be noticed")
	}
	if list, err := filepath.Glob(filepath.Join(w.to, "*")); err != nil || len(list) > 0 {
		t.Errorf("written into it: %v, %v", list, err)
	}
	w.must(w.db.Close())
	if w.ship.Close() == nil {
		t.Error("what is left was shipped into an emptied folder")
	}
	w.start()
	w.must(w.look())
	w.expect("after a start")
}
