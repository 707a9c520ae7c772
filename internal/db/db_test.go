package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type thing struct {
	ID        string              `db:"id"`
	CreatedAt int64               `db:"created_at"`
	Name      string              `db:"name"`
	Size      int64               `db:"size"`
	Live      bool                `db:"live"`
	Tags      db.JSON[[]string]   `db:"tags"`
	Parent    *string             `db:"parent"`
	Extra     db.JSON[*extraPart] `db:"extra"`
}

type extraPart struct{ A int }

var things = db.NewTable[thing]("things", "id", "Thing")

func create(t testing.TB, d *db.DB) {
	t.Helper()
	write(t, d, func(tx *db.Tx) error {
		_, err := tx.ExecContext(context.Background(), `CREATE TABLE things (id text PRIMARY KEY, created_at bigint NOT NULL, name text NOT NULL UNIQUE,
			size bigint NOT NULL, live boolean NOT NULL, tags text NOT NULL, parent text REFERENCES things (id), extra text NOT NULL)`)
		return err
	})
}

func write(t testing.TB, d *db.DB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := d.Write(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func ids(rows []*thing) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

func TestTableKeepsRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		parent := "a"
		a := &thing{ID: "a", CreatedAt: 1, Name: "one", Size: 1 << 40, Live: true, Tags: db.J([]string{"x", "y"})}
		b := &thing{ID: "b", CreatedAt: 2, Name: "two", Parent: &parent, Extra: db.J(&extraPart{A: 7})}
		write(t, d, func(tx *db.Tx) error { return things.Insert(ctx, tx, a, b) })
		got, err := things.Get(ctx, d, "a")
		if err != nil || got.Size != 1<<40 || !got.Live || len(got.Tags.V) != 2 || got.Parent != nil || got.Extra.V != nil {
			t.Fatalf("a: %+v, %v", got, err)
		}
		got, err = things.Get(ctx, d, "b")
		if err != nil || got.Live || *got.Parent != "a" || got.Extra.V.A != 7 {
			t.Fatalf("b: %+v, %v", got, err)
		}
		write(t, d, func(tx *db.Tx) error {
			got, err := things.GetForUpdate(ctx, tx, "b")
			if err != nil {
				return err
			}
			got.Name = "deux"
			return errors.Join(things.Update(ctx, tx, got), things.Set(ctx, tx, "a", map[string]any{"live": false, "nothing": 1}),
				things.Upsert(ctx, tx, &thing{ID: "c", Name: "three"}), things.Upsert(ctx, tx, &thing{ID: "c", Name: "trois"}))
		})
		if rows, err := things.Find(ctx, d, listing.Term{Column: "name", Op: listing.In, Values: []any{"deux", "trois", "one"}}); err != nil || ids(rows) != "c a b" {
			t.Errorf("found %s, %v", ids(rows), err)
		}
		if rows, err := things.Find(ctx, d, listing.Term{Column: "live", Op: listing.Eq, Values: []any{false}}); err != nil || len(rows) != 3 {
			t.Errorf("not live: %s, %v", ids(rows), err)
		}
		if n, err := things.Count(ctx, d, listing.Term{Column: "parent", Op: listing.IsNull, Values: []any{"true"}}); err != nil || n != 2 {
			t.Errorf("%d without parent, %v", n, err)
		}
		write(t, d, func(tx *db.Tx) error {
			n, err := things.DeleteWhere(ctx, tx, listing.Term{Column: "size", Op: listing.Less, Values: []any{10}})
			if n != 2 {
				t.Errorf("deleted %d", n)
			}
			return errors.Join(err, things.Delete(ctx, tx, "a"))
		})
		if n, err := things.Count(ctx, d); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
	})
}

func TestErrorsHaveKinds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		nobody := "nobody"
		write(t, d, func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "a", Name: "one"}) })
		for name, c := range map[string]struct {
			fn   func(tx *db.Tx) error
			kind fault.Kind
		}{
			"taken key":    {func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "a", Name: "x"}) }, fault.Conflict},
			"taken unique": {func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "b", Name: "one"}) }, fault.Conflict},
			"no parent":    {func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "b", Name: "b", Parent: &nobody}) }, fault.Conflict},
			"update gone":  {func(tx *db.Tx) error { return things.Update(ctx, tx, &thing{ID: "z", Name: "z"}) }, fault.NotFound},
			"set gone":     {func(tx *db.Tx) error { return things.Set(ctx, tx, "z", map[string]any{"size": 1}) }, fault.NotFound},
			"delete gone":  {func(tx *db.Tx) error { return things.Delete(ctx, tx, "z") }, fault.NotFound},
			"lock gone":    {func(tx *db.Tx) error { _, err := things.GetForUpdate(ctx, tx, "z"); return err }, fault.NotFound},
			"bad SQL":      {func(tx *db.Tx) error { _, err := tx.ExecContext(ctx, "NONSENSE"); return db.Translate(err, "x") }, fault.Internal},
			"panic":        {func(tx *db.Tx) error { panic("boom") }, fault.Internal},
			"own error":    {func(tx *db.Tx) error { return fault.OverQuotaf("no") }, fault.OverQuota},
		} {
			if err := d.Write(ctx, c.fn); !fault.Is(err, c.kind) {
				t.Errorf("%s: kind %s of %v", name, fault.KindOf(err), err)
			}
		}
		if rows, err := things.Find(ctx, d); err != nil || ids(rows) != "a" {
			t.Errorf("left: %s, %v", ids(rows), err)
		}
		made := func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "r", Name: "r"}) }
		if err := d.Write(db.Rehearse(ctx), made); !errors.Is(err, db.ErrRehearsed) {
			t.Errorf("rehearsed: %v", err)
		}
		if rows, err := things.Find(ctx, d); err != nil || ids(rows) != "a" {
			t.Errorf("left of a rehearsal: %s, %v", ids(rows), err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := d.Write(gone, func(*db.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// Many writers at once: those that fail leave nothing, those that succeed are
// all there, and callbacks run only for the latter.
func TestConcurrentWritesAreIsolated(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		create(t, d)
		var wg sync.WaitGroup
		var mu sync.Mutex
		after := map[string]bool{}
		const n = 120
		for i := range n {
			wg.Go(func() {
				name := fmt.Sprintf("t%03d", i)
				err := d.Write(ctx, func(tx *db.Tx) error {
					tx.AfterCommit(func() { mu.Lock(); defer mu.Unlock(); after[name] = true })
					if err := things.Insert(ctx, tx, &thing{ID: name, Name: name}); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return errors.New("refused")
					case 2:
						panic("defect")
					case 3:
						return things.Insert(ctx, tx, &thing{ID: name, Name: "again"})
					}
					return nil
				})
				if (err == nil) != (i%4 == 0) {
					t.Errorf("%s: %v", name, err)
				}
				if _, e := things.Get(ctx, d, name); fault.Is(e, fault.NotFound) != (i%4 != 0) {
					t.Errorf("%s after its write: %v", name, e)
				}
			})
		}
		wg.Wait()
		if c, err := things.Count(ctx, d); err != nil || c != n/4 || len(after) != n/4 {
			t.Errorf("%d rows, %d callbacks, %v", c, len(after), err)
		}
	})
}

// Without group commit 600 durable writes would be 600 flushes of the log.
func TestGroupCommitSharesFlushes(t *testing.T) {
	url := dbtest.SQLiteURL(t)
	d, err := db.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	create(t, d)
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Write(context.Background(), func(*db.Tx) error { close(held); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-held
	var before int64
	var begun sync.WaitGroup
	for i := range 100 {
		begun.Add(1)
		wg.Go(func() {
			begun.Done()
			err := d.Write(context.Background(), func(tx *db.Tx) error {
				return things.Insert(context.Background(), tx, &thing{ID: fmt.Sprint(i), Name: fmt.Sprint(i)})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	wal := filepath.Join(strings.TrimPrefix(url, "sqlite://") + "-wal")
	before = size(t, wal)
	close(release)
	wg.Wait()
	// one commit writes at least the table's and two indexes' pages, 12 KiB
	if grown := size(t, wal) - before; grown > 60*12<<10 {
		t.Errorf("the log grew by %d bytes for 100 rows: not grouped", grown)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestReopenKeepsWhatWasAcknowledged(t *testing.T) {
	url, ctx := dbtest.SQLiteURL(t), context.Background()
	d, err := db.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	create(t, d)
	write(t, d, func(tx *db.Tx) error { return things.Insert(ctx, tx, &thing{ID: "a", Name: "a"}) })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = db.Open(ctx, url); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := things.Get(ctx, d, "a"); err != nil {
		t.Error(err)
	}
}

func TestMigrationsGoDownAndUp(t *testing.T) {
	urls := map[string]string{"sqlite": dbtest.SQLiteURL(t), "postgres": dbtest.PostgresURL(t)}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			d, err := db.Open(context.Background(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if err := d.Down(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := d.QueryContext(context.Background(), "SELECT 1 FROM task_sagas"); err == nil {
				t.Fatal("down left a table")
			}
			if err := d.Up(context.Background()); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := d.QueryRowContext(context.Background(), "SELECT COUNT(*) FROM task_sagas").Scan(&n); err != nil {
				t.Fatal(err)
			}
			write(t, d, func(tx *db.Tx) error {
				_, err := tx.ExecContext(context.Background(), "DELETE FROM task_sagas")
				return err
			})
		})
	}
}

func TestOpenRefusesOtherAddresses(t *testing.T) {
	for _, url := range []string{"", "mysql://x", "/tmp/x", "postgres://%zz", "sqlite:///nonexistent/dir/x.db"} {
		if d, err := db.Open(context.Background(), url); err == nil {
			t.Errorf("%q opened", url)
			d.Close()
		}
	}
}
