package installation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/backup"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/objectstore/store"
	"github.com/mekcloud/mek/internal/shipping"
)

// BackupCreate writes the whole control plane into one file. to is the file, a
// folder, or empty for D/backups.
func (i *Installation) BackupCreate(ctx context.Context, to string, withKey bool) error {
	if err := i.need(); err != nil {
		return err
	}
	path, err := i.backupPath(to)
	if err != nil {
		return err
	}
	s := backup.Source{Config: i.cfg.Server(), Program: i.Version, Clock: i.Clock, WithKey: withKey, Checkpoint: i.checkpoint(ctx)}
	m, err := backup.Create(ctx, s, path)
	if err != nil {
		return &Failure{What: "no backup was made", Why: errors.New(apiclient.Reason(err))}
	}
	if i.Print.JSON {
		return i.Print.object(map[string]any{"file": path, "manifest": m})
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	i.Print.step(markDone, "backup", "%s, %d MiB", path, fi.Size()>>20)
	i.Print.note("Not inside: %v.", m.NotInside)
	if withKey {
		i.Print.note("The master key is inside: whoever has the file has every secret of the cloud.")
	} else {
		i.Print.note("The master key %s is not inside. Keep a copy of %s apart: without it no secret in the backup opens.", m.MasterKey, s.Config.MasterKeyFile)
	}
	return nil
}

func (i *Installation) backupPath(to string) (string, error) {
	if to == "" {
		to = i.cfg.Path("backups")
		if err := os.MkdirAll(to, 0o700); err != nil {
			return "", fmt.Errorf("backup: %w", err)
		}
	}
	if fi, err := os.Stat(to); err == nil && fi.IsDir() {
		to = filepath.Join(to, "mek-"+i.Clock.Now().Format("20060102-150405")+".tar.gz")
	}
	path, err := filepath.Abs(to)
	if err == nil {
		_, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return "", &Failure{Code: ExitUsage, What: "there is no place for the backup", Why: err}
	}
	return path, nil
}

// checkpoint has the running server copy its index of objects, or copies that of
// a cloud that does not run.
func (i *Installation) checkpoint(ctx context.Context) func(context.Context) (string, error) {
	if !i.ours() && !i.running(ctx) {
		return func(context.Context) (string, error) { return store.CheckpointIdle(i.cfg.Server().ObjectDir) }
	}
	return func(ctx context.Context) (string, error) {
		var answer struct{ Dir string }
		c, err := i.client(ctx, "admin")
		if err == nil {
			err = c.OwnPost(ctx, "/recovery/checkpoint", nil, &answer)
		}
		return answer.Dir, err
	}
}

// BackupVerify reads a backup through.
func (i *Installation) BackupVerify(ctx context.Context, path string) error {
	verify := backup.Verify
	if shipping.Is(path) {
		verify = backup.VerifyShipped
	}
	m, err := verify(ctx, path, filepath.Dir(path))
	if err != nil {
		return &Failure{Code: ExitDegraded, What: "the backup is of no use", Why: err}
	}
	if i.Print.JSON {
		return i.Print.object(m)
	}
	if shipping.Is(path) {
		i.Print.step(markDone, "whole", "schema %d, of %s, as of %s", m.Schema, m.DataDir, m.CreatedAt.Format("2006-01-02 15:04:05 MST"))
		return nil
	}
	i.Print.step(markDone, "whole", "%d files, schema %d, of %s, made %s by %s", len(m.Files), m.Schema, m.DataDir, m.CreatedAt.Format("2006-01-02 15:04:05 MST"), m.Program)
	return nil
}

// RestoreOptions are what only "mek backup restore" is told.
type RestoreOptions struct {
	KeyFile   string
	WithIndex bool
	Confirm   func(question string) bool // nil: go on
}

// BackupRestore puts a backup in place of a cloud that is stopped.
func (i *Installation) BackupRestore(ctx context.Context, path string, o RestoreOptions) error {
	if err := os.MkdirAll(i.cfg.DataDir, 0o755); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	unlock, err := i.lock()
	if err != nil {
		return err
	}
	defer unlock()
	set, err := i.engines()
	if err != nil {
		return err
	}
	for _, name := range []string{plan.SupervisorName, plan.ServerName} {
		if set.Status(name).Running {
			return &Failure{Code: ExitBlocked, What: "the cloud runs", Do: "Stop it first; guests go on:  mek down --data-dir " + i.cfg.DataDir}
		}
	}
	if o.Confirm != nil && !o.Confirm("Put the backup in place of this cloud's control plane? What is there now is kept. Type the name of this host") {
		return &Failure{What: "nothing was changed"}
	}
	restore := backup.Restore
	if shipping.Is(path) {
		restore = backup.RestoreShipped
	}
	r, err := restore(ctx, backup.Target{Config: i.cfg.Server(), Clock: i.Clock, KeyFile: o.KeyFile, WithIndex: o.WithIndex}, path)
	if err != nil {
		return &Failure{What: "the backup was not restored", Why: err, Do: "What was there before is in place, or in " + r.Aside + "; mek backup restore goes on from anywhere."}
	}
	if cfg, err := config.Load(i.cfg.DataDir, i.Env, i.Flags); err == nil {
		i.cfg = cfg
	}
	uid, gid, err := plan.Account()
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(i.databaseFile()), i.cfg.Path("secrets"), i.cfg.Server().ObjectDir} {
		if err := i.give(dir, uid, gid); err != nil {
			return err
		}
	}
	for _, f := range r.Manifest.Files {
		rest, ours := strings.CutPrefix(f.Path, backup.FilesDir+"/tls/")
		if !ours || !f.Service {
			continue
		}
		if err := own(i.cfg.Path("tls", filepath.FromSlash(rest)), uid, gid); err != nil {
			return err
		}
	}
	if i.Print.JSON {
		return i.Print.object(r)
	}
	i.Print.step(markDone, "restored", "%v, as of %s, in %.1f s", r.Restored, r.Manifest.CreatedAt.Format("2006-01-02 15:04:05 MST"), r.Seconds)
	i.Print.step(markDone, "kept", "what was there before, in %s%s", r.Aside, also(r))
	i.Print.note("Start it:  mek up --data-dir %s\nHosts keep what this database does not know, switched off:  mek admin kept", i.cfg.DataDir)
	return nil
}

func also(r backup.Result) string {
	text := ""
	if r.Images > 0 {
		text += fmt.Sprintf("; %d images that the backup does not know", r.Images)
	}
	if r.Schema != "" {
		text += "; tables in schema " + r.Schema
	}
	return text
}

// databaseFile is the file of SQLite; for PostgreSQL one in the folder that would hold it.
func (i *Installation) databaseFile() string {
	const scheme = "sqlite://"
	if len(i.cfg.Database) > len(scheme) && i.cfg.Database[:len(scheme)] == scheme {
		return i.cfg.Database[len(scheme):]
	}
	return i.cfg.Path("db", "mek.db")
}

// give gives a folder to the service user, whosever it was.
func (i *Installation) give(dir string, uid, gid int) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("owner of %s: %w", path, err)
		}
		return own(path, uid, gid)
	})
}

// notRestoring refuses to start a cloud whose restore was cut short.
func (i *Installation) notRestoring() error {
	if _, err := os.Stat(i.cfg.Path(backup.MarkerName)); err == nil {
		return &Failure{Code: ExitBlocked, What: "a restore was cut short", Do: "Run it again:  mek backup restore FILE --data-dir " + i.cfg.DataDir}
	}
	return nil
}

// ReleaseKept has a host remove what it holds in quarantine under an id.
func (i *Installation) ReleaseKept(ctx context.Context, host, id string) error {
	var answer struct {
		Kept []struct{ Host, Section, Object, Kind string }
	}
	c, err := i.client(ctx, "admin")
	if err == nil {
		err = c.Own(ctx, "/recovery/kept", &answer)
	}
	if err != nil {
		return &Failure{What: "the cloud cannot be asked", Why: errors.New(apiclient.Reason(err)), Do: "Look at it:  mek status"}
	}
	released := 0
	for _, k := range answer.Kept {
		if k.Host != host || k.Object != id {
			continue
		}
		if err := c.OwnPost(ctx, "/recovery/kept/release", map[string]string{"host": host, "section": k.Section, "object": id}, nil); err != nil {
			return &Failure{What: "it was not released", Why: errors.New(apiclient.Reason(err))}
		}
		released++
	}
	if released == 0 {
		return &Failure{What: fmt.Sprintf("host %s keeps no %s", host, id), Do: "See what there is:  mek admin kept"}
	}
	i.Print.step(markDone, "released", "%s on %s", id, host)
	return nil
}
