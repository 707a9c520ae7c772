package hoststate

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Book implements hub.Book. Make it with NewBook.
type Book struct{ db *db.DB }

// NewBook makes it.
func NewBook(d *db.DB) *Book { return &Book{d} }

// Told lists what a host accepted last, where its revision is the present one.
func (b *Book) Told(ctx context.Context, host string) (list []hostlink.Held, err error) {
	rows, err := b.db.QueryContext(ctx, `SELECT a.section, a.revision, a.digest, a.epoch FROM hoststate_accepted a
		LEFT JOIN hoststate_revisions r ON r.host = a.host AND r.section = a.section WHERE a.host = $1 AND a.revision = COALESCE(r.revision, 0)`, host)
	if err != nil {
		return nil, db.Translate(err, "read what a host was told")
	}
	defer rows.Close()
	for rows.Next() {
		var held hostlink.Held
		if err := rows.Scan(&held.Section, &held.Revision, &held.Digest, &held.Epoch); err != nil {
			return nil, db.Translate(err, "read what a host was told")
		}
		list = append(list, held)
	}
	return list, db.Translate(rows.Err(), "read what a host was told")
}

// fileAtOnce bounds a transaction of File: others wait for it.
const fileAtOnce = 200

// File notes what hosts have accepted.
func (b *Book) File(ctx context.Context, all []hostlink.Accepted) error {
	for len(all) > 0 {
		some := all[:min(len(all), fileAtOnce)]
		all = all[len(some):]
		err := b.db.Write(ctx, func(tx *db.Tx) error {
			for _, a := range some {
				if _, err := tx.ExecContext(ctx, `INSERT INTO hoststate_accepted (host, section, revision, digest, epoch) VALUES ($1, $2, $3, $4, $5)
					ON CONFLICT (host, section) DO UPDATE SET revision = $3, digest = $4, epoch = $5`, a.Host, a.Section, a.Revision, a.Digest, a.Epoch); err != nil {
					return db.Translate(err, "file what a host accepted")
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Revisions are the present ones of all hosts.
func (b *Book) Revisions(ctx context.Context) (map[hostlink.HostSection]int64, error) {
	rows, err := b.db.QueryContext(ctx, "SELECT host, section, revision FROM hoststate_revisions")
	if err != nil {
		return nil, db.Translate(err, "read revisions")
	}
	defer rows.Close()
	out := map[hostlink.HostSection]int64{}
	for rows.Next() {
		var at hostlink.HostSection
		var revision int64
		if err := rows.Scan(&at.Host, &at.Section, &revision); err != nil {
			return nil, db.Translate(err, "read revisions")
		}
		out[at] = revision
	}
	return out, db.Translate(rows.Err(), "read revisions")
}
