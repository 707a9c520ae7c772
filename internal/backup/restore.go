package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/internal/pki"
)

// MarkerName is a file of the data directory while a restore is under way: a
// cloud with it is not started.
const MarkerName = "restoring"

// Target is the control plane that a backup is put into. No process of it runs.
type Target struct {
	Config    config.Server
	Clock     clock.Clock
	KeyFile   string // master key, when neither backup nor cloud has it
	WithIndex bool   // the index of objects goes back too; otherwise only where there is none
}

// Result is what a restore did.
type Result struct {
	Manifest Manifest `json:"manifest"`
	Epoch    int64    `json:"epoch"`            // that began
	Aside    string   `json:"aside"`            // folder with what was there before
	Schema   string   `json:"schema,omitempty"` // PostgreSQL: schema with what was there before
	Restored []string `json:"restored"`
	Images   int      `json:"images"` // files of images that the database does not know, moved aside
	Seconds  float64  `json:"seconds"`
}

type restoring struct {
	Target
	dir    string // unpacked
	master []byte
	Result
}

// Restore puts a backup in place of what is there, which is kept. Hosts find out
// by the new epoch; see hostlink.Document.
func Restore(ctx context.Context, t Target, path string) (Result, error) {
	return restore(ctx, t, func(r *restoring) (err error) {
		if r.Manifest, err = Unpack(path, r.dir); err == nil {
			err = examine(ctx, r.Manifest, r.dir)
		}
		return err
	}, (*restoring).files, (*restoring).index, (*restoring).images)
}

// restore puts the database in place that unpack has left in r.dir, and goes on
// with what else there is.
func restore(ctx context.Context, t Target, unpack func(r *restoring) error, further ...func(*restoring, context.Context) error) (Result, error) {
	begun := t.Clock.Now()
	stamp := begun.Format("20060102-150405")
	r := &restoring{Target: t, dir: t.Config.Path("restore-" + stamp)}
	r.Aside = t.Config.Path("before-restore-" + stamp)
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return r.Result, fmt.Errorf("restore: %w", err)
	}
	defer os.RemoveAll(r.dir) //nolint:errcheck // what is of use was moved out of it
	if err := unpack(r); err != nil {
		return r.Result, err
	}
	steps := append([]func(*restoring, context.Context) error{(*restoring).key, (*restoring).fits, (*restoring).mark, (*restoring).database}, further...)
	for _, step := range append(steps, (*restoring).unmark) {
		if err := step(r, ctx); err != nil {
			return r.Result, err
		}
	}
	r.Seconds = t.Clock.Now().Sub(begun).Round(time.Millisecond).Seconds()
	return r.Result, nil
}

// key finds the master key that the backup was sealed with.
func (r *restoring) key(context.Context) error {
	if r.Manifest.HasMasterKey {
		key, err := masterKey(r.unpacked(FilesDir, "secrets", filepath.Base(r.Config.MasterKeyFile)))
		r.master = key
		return err
	}
	file := r.Config.MasterKeyFile
	if r.KeyFile != "" {
		file = r.KeyFile
	}
	key, err := masterKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the backup does not hold the master key, and there is none here: give it by --master-key FILE")
	}
	if err == nil && Fingerprint(key) != r.Manifest.MasterKey {
		err = fmt.Errorf("the master key here is another one (%s) than the backup was sealed with (%s): give that by --master-key FILE", Fingerprint(key), r.Manifest.MasterKey)
	}
	r.master = key
	return err
}

// fits refuses a backup of the other kind of database.
func (r *restoring) fits(context.Context) error {
	if postgres := !strings.HasPrefix(r.Config.Database, "sqlite://"); postgres != (r.Manifest.Engine == db.Postgres) {
		return fmt.Errorf("the backup is of %s, and this cloud keeps its database elsewhere", r.Manifest.Engine)
	}
	return nil
}

func (r *restoring) mark(context.Context) error {
	if err := os.MkdirAll(r.Aside, 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return os.WriteFile(r.Config.Path(MarkerName), []byte(r.Aside+"\n"), 0o600)
}

func (r *restoring) unmark(context.Context) error {
	if err := os.Remove(r.Config.Path(MarkerName)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return flushFolder(r.Config.DataDir)
}

func (r *restoring) unpacked(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

// database puts the database in place, in an epoch later than any before.
func (r *restoring) database(ctx context.Context) error {
	above := r.epochHere(ctx)
	if r.Manifest.Engine == db.Postgres {
		r.Schema = "before_restore_" + strings.ReplaceAll(filepath.Base(r.Aside)[len("before-restore-"):], "-", "_")
		if err := db.LoadTables(ctx, r.Config.Database, r.Schema, r.Manifest.Schema, r.Manifest.Dumped, func(table string) (io.ReadCloser, error) {
			return os.Open(r.unpacked(TablesDir, table))
		}); err != nil {
			return err
		}
		return r.begin(ctx, r.Config.Database, above)
	}
	file := r.unpacked(filepath.FromSlash(DatabaseName))
	if err := r.begin(ctx, "sqlite://"+file, above); err != nil {
		return err
	}
	return r.swap(filepath.Dir(file), filepath.Dir(strings.TrimPrefix(r.Config.Database, "sqlite://")), "db")
}

// epochHere is that of the database that is about to go; 0 when nobody can read it.
func (r *restoring) epochHere(ctx context.Context) int64 {
	if path, lite := strings.CutPrefix(r.Config.Database, "sqlite://"); lite {
		if _, err := os.Stat(path); err != nil {
			return 0
		}
	}
	d, err := db.OpenAsIs(ctx, r.Config.Database)
	if err != nil {
		return 0
	}
	epoch, err := hoststate.Epoch(ctx, d)
	if err := errors.Join(err, d.Close()); err != nil {
		return 0
	}
	return epoch
}

func (r *restoring) begin(ctx context.Context, address string, above int64) error {
	d, err := db.Open(ctx, address)
	if err != nil {
		return err
	}
	err = d.Write(ctx, func(tx *db.Tx) (err error) {
		r.Epoch, err = hoststate.BeginEpoch(ctx, tx, above, r.Clock.Now())
		return err
	})
	r.Restored = append(r.Restored, "database")
	return errors.Join(err, d.Close())
}

// swap exchanges a folder with another in one step and keeps the old one aside.
func (r *restoring) swap(from, to, name string) error {
	_, err := os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("restore %s: %w", name, err)
		}
		return os.Rename(from, to)
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	}
	if err == nil {
		err = os.Rename(from, filepath.Join(r.Aside, name))
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", name, err)
	}
	return flushFolder(filepath.Dir(to))
}

// files puts back certificates and secrets, and settings where there are none:
// what an operator has changed since is not taken back.
func (r *restoring) files(context.Context) error {
	for _, name := range []string{config.SettingsFile, config.OperatorFile} {
		to := r.Config.Path(name)
		if _, err := os.Stat(to); err == nil {
			to = filepath.Join(r.Aside, name+".of-the-backup")
		}
		if err := move(r.unpacked(FilesDir, name), to); err != nil {
			return err
		}
	}
	if _, err := os.Stat(r.Config.PolicyFile); errors.Is(err, fs.ErrNotExist) {
		if err := move(r.unpacked(FilesDir, "policy.yaml"), r.Config.PolicyFile); err != nil {
			return err
		}
	}
	secrets := r.unpacked(FilesDir, "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return fmt.Errorf("restore secrets: %w", err)
	}
	if err := os.WriteFile(filepath.Join(secrets, filepath.Base(r.Config.MasterKeyFile)), []byte(hex.EncodeToString(r.master)+"\n"), 0o600); err != nil {
		return fmt.Errorf("restore master key: %w", err)
	}
	if err := r.passwords(secrets); err != nil {
		return err
	}
	for _, name := range []string{"tls", "secrets"} {
		if _, err := os.Stat(r.unpacked(FilesDir, name)); err != nil {
			continue
		}
		if name == "tls" { // certificates are for everybody to read
			if err := os.Chmod(r.unpacked(FilesDir, name), 0o755); err != nil {
				return fmt.Errorf("restore certificates: %w", err)
			}
		}
		if err := r.swap(r.unpacked(FilesDir, name), r.Config.Path(name), name); err != nil {
			return err
		}
		r.Restored = append(r.Restored, name)
	}
	return nil
}

func (r *restoring) passwords(secrets string) error {
	sealed, err := os.ReadFile(r.unpacked(SealedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore first passwords: %w", err)
	}
	sealer, err := pki.NewSealer(r.master, "backup")
	if err != nil {
		return err
	}
	first, err := sealer.Open(SealedName, sealed)
	if err != nil {
		return fmt.Errorf("restore first passwords: %w", err)
	}
	return os.WriteFile(filepath.Join(secrets, filepath.Base(r.Config.BootstrapFile)), first, 0o600)
}

func move(from, to string) error {
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// index puts the index of objects back where there is none, or when told to: the
// one that lies with the bodies is newer than the backup, and whole.
func (r *restoring) index(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.Config.ObjectDir, "index")); !r.Manifest.Objects || err == nil && !r.WithIndex {
		return nil
	}
	if err := os.MkdirAll(r.Config.ObjectDir, 0o700); err != nil {
		return fmt.Errorf("restore object index: %w", err)
	}
	d, err := db.OpenAsIs(ctx, r.Config.Database)
	if err != nil {
		return err
	}
	err = store.Continue(r.unpacked("objects"), func(id string) (int64, error) { return Exported(ctx, d, id) })
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	if err := r.bodies(); err != nil {
		return err
	}
	r.Restored = append(r.Restored, "index of objects")
	return r.swap(r.unpacked("objects", "index"), filepath.Join(r.Config.ObjectDir, "index"), "index")
}

// bodies links the files of objects aside: the server will remove those that the
// older index does not know.
func (r *restoring) bodies() error {
	data := filepath.Join(r.Config.ObjectDir, "data")
	kept := filepath.Join(r.Config.ObjectDir, filepath.Base(r.Aside))
	return filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == data {
			return nil
		}
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(kept, rest), 0o700)
		}
		return os.Link(path, filepath.Join(kept, rest))
	})
}

// images moves files of images aside that the database does not know: the server
// would take them for what a crash has left, and remove them.
func (r *restoring) images(ctx context.Context) error {
	d, err := db.OpenAsIs(ctx, r.Config.Database)
	if err != nil {
		return err
	}
	known, err := ImageIDs(ctx, d)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	list, err := os.ReadDir(r.Config.ImageDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("images: %w", err)
	}
	kept := filepath.Join(r.Aside, "images")
	for _, e := range list {
		id, ours := strings.CutSuffix(e.Name(), ".image")
		if !ours || known[id] {
			continue
		}
		if err := os.MkdirAll(kept, 0o700); err != nil {
			return fmt.Errorf("images: %w", err)
		}
		if err := os.Rename(filepath.Join(r.Config.ImageDir, e.Name()), filepath.Join(kept, e.Name())); err != nil {
			return fmt.Errorf("images: %w", err)
		}
		r.Images++
	}
	return nil
}
