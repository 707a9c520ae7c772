package dbtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mekcloud/mek/internal/db"
)

// Each runs a test on SQLite and on PostgreSQL, each with an empty, migrated
// database of its own.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// One is an empty, migrated database of the engine that EachOne or Each is at,
// else of the one that MEK_TEST_ENGINE names, else SQLite.
func One(t testing.TB) *db.DB {
	t.Helper()
	engine := os.Getenv("MEK_TEST_ENGINE")
	for _, word := range strings.Split(t.Name(), "/") {
		if word == "sqlite" || word == "postgres" {
			engine = word
		}
	}
	switch engine {
	case "", "sqlite":
		return SQLite(t)
	case "postgres":
		return Postgres(t)
	default:
		t.Fatalf("MEK_TEST_ENGINE=%q: sqlite or postgres", engine)
		return nil
	}
}

// EachOne runs a test that takes its database from One on both engines. The
// engine is told by the subtest's name, since the test may be parallel.
func EachOne(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Run("sqlite", test)
	t.Run("postgres", test)
}

// SQLite is an empty, migrated database in a directory of the test.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	template, err := migrated()
	if err != nil {
		t.Fatalf("migrate a template: %v", err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, "sqlite://"+path)
}

// migrated is the file of an empty, migrated database: copying it is ten times
// as fast as migrating.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mek-template-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	d, err := db.Open(context.Background(), "sqlite://"+path)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil { // the last connection writes the log back into the file
		return nil, err
	}
	return os.ReadFile(path)
})

// SQLiteURL is the address of a database that does not exist yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres is an empty, migrated database of this process's cluster.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	return open(t, postgresURL(t, "template_mek"))
}

var databases atomic.Int64 // numbers the databases of this process's cluster

// PostgresURL is the address of an empty database of this process's cluster.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return postgresURL(t, "template0")
}

func postgresURL(t testing.TB, template string) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("start PostgreSQL (Debian's package postgresql): %v", err)
	}
	name := fmt.Sprintf("t%d", databases.Add(1))
	if err := c.query(context.Background(), "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy"); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		if err := c.query(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	return c.url(name)
}

func open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), url)
	if err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}
