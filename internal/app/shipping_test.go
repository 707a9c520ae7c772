package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
)

type lateBy time.Duration

func (b lateBy) Behind() (time.Duration, error) { return time.Duration(b), errors.New("no room") }

func TestUnshippedLogIsFound(t *testing.T) {
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "mek.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for late, want := range map[time.Duration]int{time.Second: 0, time.Minute: 1} {
		r := check.New(check.Config{DB: d, Clock: clock.Real{}})
		r.Add(shippingCheck(lateBy(late)), shippingCheck(nil))
		report, err := r.Run(t.Context(), check.Quiesced)
		if err != nil || len(report.Findings) != want {
			t.Errorf("late by %v: %v, %v", late, report.Findings, err)
		}
	}
}

// A database that is gone must not be begun anew: the empty one would be shipped
// as what came after it.
func TestALostDatabaseIsNotBegunAnew(t *testing.T) {
	dir := t.TempDir()
	c := config.Default(dir)
	c.ShipTo = filepath.Join(dir, "log")
	cfg, log := c.Server(), slog.New(slog.DiscardHandler)
	for _, name := range []string{"db", "secrets"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := ship(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	stopShipping(s, log)
	if s, err = ship(t.Context(), cfg, log); err != nil {
		t.Fatalf("the next start: %v", err)
	}
	stopShipping(s, log)
	if err := os.RemoveAll(filepath.Join(dir, "db")); err != nil {
		t.Fatal(err)
	}
	if _, err := ship(t.Context(), cfg, log); err == nil || !strings.Contains(err.Error(), "mek backup restore") {
		t.Errorf("it started: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "db", "mek.db")); err == nil {
		t.Error("an empty database was made")
	}
}
