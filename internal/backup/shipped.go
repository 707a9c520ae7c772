package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/shipping"
)

// RestoreShipped puts the database of a shipped log in place of the one that was
// lost. Certificates, secrets and settings stay: a log has none. Where they were
// lost as well, a backup is restored first, and the log over it.
func RestoreShipped(ctx context.Context, t Target, dir string) (Result, error) {
	return restore(ctx, t, func(r *restoring) (err error) {
		r.Manifest, err = unship(ctx, dir, r.dir)
		return err
	}, (*restoring).images)
}

// VerifyShipped builds the database of a shipped log, reads it through, and
// leaves nothing behind. The server may go on shipping.
func VerifyShipped(ctx context.Context, dir, scratch string) (Manifest, error) {
	to, err := os.MkdirTemp(scratch, "verify-")
	if err != nil {
		return Manifest{}, fmt.Errorf("verify: %w", err)
	}
	m, err := unship(ctx, dir, to)
	return m, errors.Join(err, os.RemoveAll(to))
}

// unship builds the database where Unpack would have put it.
func unship(ctx context.Context, from, to string) (m Manifest, err error) {
	file := filepath.Join(to, filepath.FromSlash(DatabaseName))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return m, fmt.Errorf("shipped log: %w", err)
	}
	r, err := shipping.Restore(ctx, from, file)
	if err != nil {
		return m, err
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return m, fmt.Errorf("shipped log: %w", err)
	}
	m = Manifest{Format: Format, Program: r.Program, CreatedAt: r.Last, DataDir: r.DataDir, Host: r.Host, Engine: db.SQLite, MasterKey: r.MasterKey, NotInside: NotInside}
	d, err := db.OpenAsIs(ctx, "sqlite://"+file)
	if err != nil {
		return m, err
	}
	if err := errors.Join(facts(ctx, d, &m), d.Close()); err != nil {
		return m, err
	}
	return m, examine(ctx, m, to)
}
