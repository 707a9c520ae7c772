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
	"syscall"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/pki"
)

// Source is the control plane that a backup is made of.
type Source struct {
	Config  config.Server
	Program string // version
	Clock   clock.Clock
	// Checkpoint copies the index of objects and answers where to; empty: there
	// is none. The process that has the index open does it.
	Checkpoint func(ctx context.Context) (string, error)
	WithKey    bool // the master key goes in
}

// Create makes a backup while everything goes on. Nothing is at path before it is whole.
func Create(ctx context.Context, s Source, path string) (m Manifest, err error) {
	m = Manifest{Program: s.Program, CreatedAt: s.Clock.Now(), DataDir: s.Config.DataDir, Host: s.Config.HostName, HasMasterKey: s.WithKey}
	master, err := masterKey(s.Config.MasterKeyFile)
	if err != nil {
		return m, err
	}
	m.MasterKey = Fingerprint(master)
	w, err := newWriter(path)
	if err != nil {
		return m, err
	}
	defer w.Discard()
	if fi, err := os.Stat(s.Config.Path("secrets")); err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			w.service = st.Uid
		}
	}
	index, err := s.Checkpoint(ctx)
	if err != nil {
		return m, err
	}
	if index != "" {
		m.Objects = true
		defer os.RemoveAll(index) //nolint:errcheck // the next backup replaces it
		if err := w.AddTree(ObjectsDir, index); err != nil {
			return m, err
		}
	}
	if err := addDatabase(ctx, w, s.Config, path, &m); err != nil {
		return m, err
	}
	if err := addFiles(w, s, master); err != nil {
		return m, err
	}
	return w.Finish(m)
}

// masterKey reads the key, and makes none.
func masterKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != pki.MasterKeySize {
		return nil, fmt.Errorf("master key: %s is not one", file)
	}
	return key, nil
}

// addDatabase puts in the database at one instant.
func addDatabase(ctx context.Context, w *Writer, c config.Server, path string, m *Manifest) (err error) {
	d, err := db.OpenAsIs(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	m.Engine = d.Engine()
	part := path + ".database"
	defer os.RemoveAll(part) //nolint:errcheck // it is beside the backup, under a name that says what it is
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := os.Mkdir(part, 0o700); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if m.Engine == db.Postgres {
		m.Dumped, err = d.DumpTables(ctx, func(table string) (io.WriteCloser, error) { return os.Create(filepath.Join(part, table)) })
		if err == nil {
			err = facts(ctx, d, m)
		}
		if err == nil {
			err = w.AddTree(TablesDir, part)
		}
		return err
	}
	file := filepath.Join(part, "mek.db")
	if err := d.CopyTo(ctx, file); err != nil {
		return err
	}
	copied, err := db.OpenAsIs(ctx, "sqlite://"+file)
	if err != nil {
		return err
	}
	if err := errors.Join(facts(ctx, copied, m), copied.Close()); err != nil {
		return err
	}
	return w.Add(DatabaseName, file)
}

func facts(ctx context.Context, d *db.DB, m *Manifest) (err error) {
	if m.Schema, err = d.Version(ctx); err != nil {
		return err
	}
	m.Epoch, err = hoststate.Epoch(ctx, d)
	return err
}

// addFiles puts in settings, certificates and secrets. What is secret in the
// clear, the first passwords, is sealed; the key itself goes in when asked for.
func addFiles(w *Writer, s Source, master []byte) error {
	c := s.Config
	for _, name := range []string{config.SettingsFile, config.OperatorFile} {
		if err := w.Add(FilesDir+"/"+name, c.Path(name)); err != nil {
			return err
		}
	}
	if err := w.Add(FilesDir+"/policy.yaml", c.PolicyFile); err != nil {
		return err
	}
	if err := w.AddTree(FilesDir+"/tls", c.Path("tls")); err != nil {
		return err
	}
	sealer, err := pki.NewSealer(master, "backup")
	if err != nil {
		return err
	}
	switch first, err := os.ReadFile(c.BootstrapFile); {
	case err == nil:
		if err := w.AddBytes(SealedName, sealer.Seal(SealedName, first)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("first passwords: %w", err)
	}
	list, err := os.ReadDir(c.Path("secrets"))
	if err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	for _, e := range list {
		from := c.Path("secrets", e.Name())
		if from == c.BootstrapFile || from == c.MasterKeyFile && !s.WithKey || !e.Type().IsRegular() {
			continue
		}
		if err := w.Add(FilesDir+"/secrets/"+e.Name(), from); err != nil {
			return err
		}
	}
	return nil
}

// Verify unpacks a backup beside it, reads the database and the index through,
// and leaves nothing behind.
func Verify(ctx context.Context, path, scratch string) (m Manifest, err error) {
	dir, err := os.MkdirTemp(scratch, "verify-")
	if err != nil {
		return m, fmt.Errorf("verify: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a scratch folder
	if m, err = Unpack(path, dir); err != nil {
		return m, err
	}
	return m, examine(ctx, m, dir)
}

// examine reads through what was unpacked.
func examine(ctx context.Context, m Manifest, dir string) (err error) {
	if m.Schema > db.Latest() {
		return fmt.Errorf("the backup's database has schema %d, and this program knows %d: use the program that made it, %s", m.Schema, db.Latest(), m.Program)
	}
	if m.Engine == db.Postgres {
		for _, t := range m.Dumped {
			if _, err := os.Stat(filepath.Join(dir, TablesDir, t.Table)); err != nil {
				return fmt.Errorf("the backup has no table %s", t.Table)
			}
		}
		return nil // its rows are checked as they are loaded
	}
	d, err := db.OpenAsIs(ctx, "sqlite://"+filepath.Join(dir, filepath.FromSlash(DatabaseName)))
	if err != nil {
		return err
	}
	version, err := d.Version(ctx)
	if err == nil && version != m.Schema {
		err = fmt.Errorf("the database has schema %d, and the manifest says %d", version, m.Schema)
	}
	if err == nil {
		err = d.Verify(ctx)
	}
	return errors.Join(err, d.Close())
}
