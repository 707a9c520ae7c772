package app

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/clock"
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
