package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/backup"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/store"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// site is a data directory with everything that a backup takes.
type site struct {
	dir     string
	cfg     config.Server
	objects *store.Store
}

func newSite(t *testing.T, address string) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	c := config.Default(s.dir)
	if address != "" {
		c.Database = address
	}
	s.cfg = c.Server()
	for name, text := range map[string]string{
		"settings.yaml": "hash: " + c.Hash + "\n", "mek.yaml": "region: North\n", "policy.yaml": "{}\n", "tls/ca.crt": "certificate",
		"secrets/master.key": hex.EncodeToString(id.Bytes(32)) + "\n", "secrets/bootstrap.json": `{"admin_password":"canary-7391"}`, "secrets/root.seal": "sealed",
		"images/11111111-1111-4111-8111-111111111111.image": "bytes", "db/.keep": "",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	s.objects = store.New(store.Config{Dir: s.cfg.ObjectDir})
	t.Cleanup(func() { must(t, s.objects.Close()) })
	return s
}

func (s *site) source() backup.Source {
	return backup.Source{Config: s.cfg, Program: "test", Clock: clock.Real{}, Checkpoint: func(context.Context) (string, error) { return s.objects.Checkpoint() }}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func note(ctx context.Context, d *db.DB, name string) error {
	return d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO toolkit_facts (name, value) VALUES ($1, $1)", name)
		return err
	})
}

func has(t *testing.T, d *db.DB, name string) bool {
	t.Helper()
	var n int
	must(t, d.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM toolkit_facts WHERE name = $1", name).Scan(&n))
	return n > 0
}

// Under load, on both engines: everything that was acknowledged before the backup
// began is in it, and what came after the restore's beginning is aside.
func TestBackupAndRestore(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { backupAndRestore(t, "") })
	t.Run("postgres", func(t *testing.T) { backupAndRestore(t, dbtest.PostgresURL(t)) })
}

func backupAndRestore(t *testing.T, address string) {
	s, ctx := newSite(t, address), t.Context()
	d, err := db.Open(ctx, s.cfg.Database)
	must(t, err)
	must(t, note(ctx, d, "before"))
	load, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := 0; load.Err() == nil; n++ {
				if err := note(ctx, d, fmt.Sprintf("load-%d-%d", w, n)); err != nil {
					t.Errorf("a write during the backup: %v", err)
					return
				}
				if _, _, err := s.objects.PutContainer(ctx, "a", fmt.Sprint("c", n), func(*objectstore.Container, bool) error { return nil }, event.Record{}); err != nil {
					t.Errorf("a change of objects during the backup: %v", err)
					return
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	m, err := backup.Create(ctx, s.source(), file)
	must(t, err)
	stop()
	writers.Wait()
	if _, err := backup.Create(ctx, s.source(), file); err == nil {
		t.Error("a backup was overwritten")
	}
	raw, err := os.ReadFile(file)
	must(t, err)
	if strings.Contains(string(raw), "canary-7391") {
		t.Error("first passwords are in the clear")
	}
	must(t, note(ctx, d, "after"))
	must(t, d.Close())
	checked, err := backup.Verify(ctx, file, t.TempDir())
	must(t, err)
	if checked.MasterKey != m.MasterKey || checked.Schema != db.Latest() || !checked.Objects {
		t.Errorf("manifest %+v", checked)
	}

	r, err := backup.Restore(ctx, backup.Target{Config: s.cfg, Clock: clock.Real{}}, file)
	must(t, err)
	if d, err = db.Open(ctx, s.cfg.Database); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	must(t, d.Verify(ctx))
	if !has(t, d, "before") || has(t, d, "after") {
		t.Error("the database is not that of the backup")
	}
	if epoch, err := hoststate.Epoch(ctx, d); err != nil || epoch != r.Epoch || epoch == 0 {
		t.Errorf("epoch %d, %v; the restore said %d", epoch, err, r.Epoch)
	}
	if first, err := os.ReadFile(s.cfg.BootstrapFile); err != nil || !strings.Contains(string(first), "canary-7391") {
		t.Errorf("first passwords: %s, %v", first, err)
	}
	if r.Images != 1 {
		t.Errorf("%d images aside", r.Images)
	}
	if _, err := os.Stat(filepath.Join(r.Aside, "images", "11111111-1111-4111-8111-111111111111.image")); err != nil {
		t.Errorf("an unknown image: %v", err)
	}
	if _, err := os.Stat(s.cfg.Path(backup.MarkerName)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the restore left its mark")
	}
	if address == "" {
		old, err := db.OpenAsIs(ctx, "sqlite://"+filepath.Join(r.Aside, "db", "mek.db"))
		must(t, err)
		if !has(t, old, "after") {
			t.Error("what was there before is not aside")
		}
		must(t, old.Close())
	}
}

// To another machine: nothing is there, the key comes apart.
func TestRestoreElsewhere(t *testing.T) {
	s, ctx := newSite(t, ""), t.Context()
	d, err := db.Open(ctx, s.cfg.Database)
	must(t, err)
	must(t, errors.Join(note(ctx, d, "x"), d.Close()))
	_, _, err = s.objects.PutContainer(ctx, "a", "c", func(*objectstore.Container, bool) error { return nil }, event.Record{})
	must(t, err)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	_, err = backup.Create(ctx, s.source(), file)
	must(t, err)
	there := config.Default(t.TempDir()).Server()
	if _, err := backup.Restore(ctx, backup.Target{Config: there, Clock: clock.Real{}}, file); err == nil {
		t.Fatal("restored without a master key")
	}
	wrong := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(wrong, []byte(hex.EncodeToString(id.Bytes(32))), 0o600))
	if _, err := backup.Restore(ctx, backup.Target{Config: there, Clock: clock.Real{}, KeyFile: wrong}, file); err == nil {
		t.Fatal("restored with another master key")
	}
	_, err = backup.Restore(ctx, backup.Target{Config: there, Clock: clock.Real{}, KeyFile: s.cfg.MasterKeyFile}, file)
	must(t, err)
	objects := store.New(store.Config{Dir: there.ObjectDir})
	defer objects.Close()
	if _, err := objects.Container(ctx, "a", "c"); err != nil {
		t.Errorf("the container: %v", err)
	}
	if text, err := os.ReadFile(there.Path("mek.yaml")); err != nil || string(text) != "region: North\n" {
		t.Errorf("settings: %q, %v", text, err)
	}
}

// A backup with one byte changed, or cut anywhere, is refused.
// unzipped is what was compressed, which now and then is the same after a change:
// a run of zeros may be copied from anywhere among them.
func unzipped(file []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil
	}
	content, err := io.ReadAll(z)
	if err != nil {
		return nil
	}
	return content
}

func TestDamagedBackups(t *testing.T) {
	s, ctx := newSite(t, ""), t.Context()
	d, err := db.Open(ctx, s.cfg.Database)
	must(t, err)
	must(t, d.Close())
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	_, err = backup.Create(ctx, s.source(), file)
	must(t, err)
	raw, err := os.ReadFile(file)
	must(t, err)
	tries, manifest := 40, 1000
	for k := range 2 * tries {
		at := 10 + k*(len(raw)-20)/tries // behind the head of gzip, some of which means nothing
		if k >= tries {
			at = len(raw) - 1 - (k-tries)*manifest/tries
		}
		bad := append([]byte{}, raw...)
		bad[at] ^= 0x55
		for what, content := range map[string][]byte{"changed": bad, "cut": raw[:at]} {
			must(t, os.WriteFile(file, content, 0o600))
			if _, err := backup.Verify(ctx, file, t.TempDir()); err == nil && !bytes.Equal(unzipped(content), unzipped(raw)) {
				t.Errorf("%s at %d of %d: taken for whole", what, at, len(raw))
			}
		}
	}
}
