package check_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// agents are two hosts, of which one does not answer for its volumes.
type agents struct{ objects []hostlink.ObjectReport }

func (agents) Names() []string { return []string{"b", "a"} }

func (a agents) Do(_ context.Context, host string, cmd hostlink.Command) (json.RawMessage, error) {
	if cmd.Verb != hostlink.TakeInventory || host == "b" && cmd.Section == hostlink.Volumes {
		return nil, fault.Unavailablef("not now")
	}
	return json.Marshal(hostlink.Inventory{Section: cmd.Section, Revision: 7, Objects: a.objects})
}

var wrong = check.Code{ID: "I-99/wrong", Means: "it is wrong", Remedy: "mend it"}

func registry(t *testing.T, grace time.Duration, sagas ...check.Saga) *check.Registry {
	return check.New(check.Config{DB: dbtest.SQLite(t), Clock: clock.Real{}, Agents: agents{}, Grace: grace,
		Sagas: func(context.Context, db.Querier) ([]check.Saga, error) { return sagas, nil }})
}

func run(t *testing.T, r *check.Registry, mode check.Mode, only ...string) []string {
	t.Helper()
	got, err := r.Run(t.Context(), mode, only...)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, f := range got.Findings {
		out = append(out, f.Code+" "+f.Subject)
	}
	return out
}

func TestModes(t *testing.T) {
	r := registry(t, time.Nanosecond, check.Saga{ID: "s", Op: "x", Object: "busy"})
	r.Add(check.Check{Name: "hosts", Codes: []check.Code{wrong}, Run: func(_ context.Context, l *check.Look) error {
		for _, id := range []string{"busy", "free"} {
			l.Report(wrong, check.Of("thing", id), "%d and %d", 1, 2)
		}
		l.Report(wrong, check.Of("", "part", "busy"), "of something busy")
		return nil
	}})
	if got := run(t, r, check.Live); !slices.Equal(got, []string{"I-99/wrong thing free"}) {
		t.Errorf("live: %v", got)
	}
	if got := run(t, r, check.Quiesced); !slices.Equal(got, []string{"I-99/wrong thing busy", "I-99/wrong thing free", "I-99/wrong part"}) {
		t.Errorf("quiesced: %v", got)
	}
	if got := run(t, r, check.Live, "other"); len(got) != 0 {
		t.Errorf("another check: %v", got)
	}
	if len(r.Codes()) != 1 || !slices.Equal(r.Names(), []string{"hosts"}) {
		t.Errorf("codes %v, names %v", r.Codes(), r.Names())
	}
}

// What is there once and gone at the second look was under way; what comes
// only then has no grace left to wait for, and is told by the next run.
func TestWhatPassesIsNoViolation(t *testing.T) {
	r, looks := registry(t, time.Hour), 0
	r.Add(check.Check{Name: "hosts", Codes: []check.Code{wrong}, Run: func(_ context.Context, l *check.Look) error {
		if looks++; looks == 1 {
			l.Report(wrong, check.Of("thing", "a"), "on its way")
		} else {
			l.Report(wrong, check.Of("thing", "b"), "new")
		}
		return nil
	}})
	if got := run(t, r, check.Live); len(got) != 0 || looks != 2 {
		t.Errorf("%v after %d looks", got, looks)
	}
}

func TestRowsNeedNoGrace(t *testing.T) {
	r, looks := registry(t, time.Hour), 0
	r.Add(check.Check{Name: "rows", Codes: []check.Code{wrong}, Rows: true, Run: func(_ context.Context, l *check.Look) error {
		looks++
		for range 300 {
			l.Report(wrong, check.Of("thing", "a"), "wrong")
		}
		return nil
	}})
	if got := run(t, r, check.Live); len(got) != 101 || looks != 1 {
		t.Errorf("%d findings after %d looks", len(got), looks)
	}
}

func TestFailures(t *testing.T) {
	r := registry(t, time.Hour)
	r.Add(check.Check{Name: "broken", Run: func(context.Context, *check.Look) error { return errors.New("no such table") }},
		check.Check{Name: "careless", Run: func(_ context.Context, l *check.Look) error {
			l.Report(wrong, check.Of("thing", "a"), "not declared")
			return nil
		}})
	if got := run(t, r, check.Quiesced); !slices.Equal(got, []string{"doctor/broken broken", "I-99/wrong thing a", "doctor/careless careless"}) {
		t.Errorf("%v", got)
	}
}

func TestHosts(t *testing.T) {
	r := check.New(check.Config{DB: dbtest.SQLite(t), Clock: clock.Real{},
		Agents: agents{[]hostlink.ObjectReport{{ID: "1", Phase: hostlink.Ready}, {ID: "2", Phase: hostlink.Absent}}}})
	r.Add(check.Check{Name: "look", Run: func(_ context.Context, l *check.Look) error {
		if len(l.Hosts) != 2 || l.Hosts[0].Name != "a" {
			t.Errorf("hosts %v", l.Hosts)
		}
		b, _ := l.Host("b")
		if _, ok := b.Has(check.Volumes); ok || b.Silent[check.Volumes] == "" {
			t.Error("a silent section has something")
		}
		if have, ok := b.Has(check.Guests); !ok || len(have) != 1 {
			t.Errorf("guests %v", have)
		}
		if _, ok := l.Host("c"); ok {
			t.Error("there is a host c")
		}
		return nil
	}})
	if got := run(t, r, check.Quiesced); len(got) != 0 {
		t.Error(got)
	}
}

// Planted damage is found on both engines, and a fresh database has none.
func TestDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := check.New(check.Config{DB: d, Clock: clock.Real{}})
		r.Add(check.Database(d)...)
		if got := run(t, r, check.Live); len(got) != 0 {
			t.Fatalf("fresh: %v", got)
		}
		exec := func(query string) {
			t.Helper()
			if err := d.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.ExecContext(t.Context(), query); return err }); err != nil {
				t.Fatal(err)
			}
		}
		exec("INSERT INTO quota_limits (project_id, service, resource, hard_limit) VALUES ('p', 's', 'r', -1)")
		if got := run(t, r, check.Live); len(got) != 0 {
			t.Fatalf("no limit: %v", got)
		}
		exec("INSERT INTO serials (name, last) VALUES ('x', -3)")
		want := []string{"I-11/negative column serials.last"}
		if d.Engine() == db.Postgres { // SQLite keeps no constraint that is not enforced, and no index that is not whole
			exec("ALTER TABLE compute_disks ADD CONSTRAINT later FOREIGN KEY (server) REFERENCES compute_servers (id) NOT VALID")
			exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'compute_disks_volume'::regclass")
			want = append(want, "I-37/damaged compute_disks_volume", "I-37/dangling-row compute_disks")
		}
		got := run(t, r, check.Live)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// A SQLite file that somebody else wrote to, and then one whose page is gone.
func TestDamagedFile(t *testing.T) {
	url := dbtest.SQLiteURL(t)
	path := strings.TrimPrefix(url, "sqlite://")
	findings := func() []string {
		d, err := db.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r := check.New(check.Config{DB: d, Clock: clock.Real{}})
		r.Add(check.Database(d)...)
		return run(t, r, check.Live, "database/integrity")
	}
	if got := findings(); len(got) != 0 {
		t.Fatal(got)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var page, size int64
	_, err1 := raw.Exec("INSERT INTO network_default_groups (project_id, group_id) VALUES ('p', 'nothing')")
	err2 := raw.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'outbox_records_sequence'").Scan(&page)
	err3 := raw.QueryRow("PRAGMA page_size").Scan(&size)
	if err := errors.Join(err1, err2, err3, raw.Close()); err != nil {
		t.Fatal(err)
	}
	if got := findings(); len(got) != 1 || !strings.HasPrefix(got[0], "I-37/dangling-row network_default_groups row") {
		t.Errorf("%v", got)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(make([]byte, size), (page-1)*size)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if got := findings(); !slices.Contains(got, "I-37/damaged database") {
		t.Errorf("%v", got)
	}
}
