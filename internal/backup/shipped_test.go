package backup_test

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/backup"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/shipping"
)

// The database's files are gone; the rest of the data directory is there.
func TestRestoreOfAShippedLog(t *testing.T) {
	s, ctx := newSite(t, ""), t.Context()
	d, err := db.Open(ctx, s.cfg.Database)
	must(t, err)
	must(t, d.Close())
	key, err := os.ReadFile(s.cfg.MasterKeyFile)
	must(t, err)
	raw, err := hex.DecodeString(strings.TrimSpace(string(key)))
	must(t, err)
	file, to := strings.TrimPrefix(s.cfg.Database, "sqlite://"), filepath.Join(t.TempDir(), "log")
	ship, err := shipping.Start(ctx, shipping.Config{Database: file, Dir: to, Clock: clock.Real{}, Log: slog.New(slog.DiscardHandler),
		Manifest: shipping.Manifest{Format: shipping.Format, DataDir: s.dir, Host: "h", MasterKey: backup.Fingerprint(raw)}})
	must(t, err)
	d, err = db.Open(ctx, s.cfg.Database)
	must(t, err)
	must(t, note(ctx, d, "shipped"))
	must(t, errors.Join(d.Close(), ship.Close()))
	must(t, os.RemoveAll(filepath.Dir(file)))

	scratch := t.TempDir()
	m, err := backup.VerifyShipped(ctx, to, scratch)
	must(t, err)
	if left, err := os.ReadDir(scratch); m.Schema != db.Latest() || err != nil || len(left) > 0 {
		t.Errorf("manifest %+v; left %v, %v", m, left, err)
	}
	r, err := backup.RestoreShipped(ctx, backup.Target{Config: s.cfg, Clock: clock.Real{}}, to)
	must(t, err)
	if d, err = db.Open(ctx, s.cfg.Database); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if epoch, err := hoststate.Epoch(ctx, d); !has(t, d, "shipped") || err != nil || epoch != r.Epoch || epoch == 0 {
		t.Errorf("epoch %d, %v; the restore said %d", epoch, err, r.Epoch)
	}
	if text, err := os.ReadFile(s.cfg.Path("tls", "ca.crt")); err != nil || string(text) != "certificate" {
		t.Errorf("certificates did not stay: %s, %v", text, err)
	}
	must(t, os.WriteFile(s.cfg.MasterKeyFile, []byte(strings.Repeat("ab", 32)), 0o600))
	if _, err := backup.RestoreShipped(ctx, backup.Target{Config: s.cfg, Clock: clock.Real{}}, to); err == nil {
		t.Error("restored with another master key")
	}
}
