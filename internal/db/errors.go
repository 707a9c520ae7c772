package db

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/mekcloud/mek/internal/fault"
)

// Extended result codes of SQLite, https://www.sqlite.org/rescode.html.
const (
	sqliteBusy       = 5
	sqliteFull       = 13
	sqliteForeignKey = 787
	sqlitePrimaryKey = 1555
	sqliteUnique     = 2067
)

// translate makes a fault of a driver error. doing names the operation for logs.
func translate(err error, doing string) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("%s: %w", doing, err)
	if errors.Is(err, sql.ErrNoRows) {
		return fault.NotFoundf("The object could not be found.").Because(wrapped)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() {
		case sqliteUnique, sqlitePrimaryKey:
			return fault.Conflictf("An object with the same identity exists.").Because(wrapped)
		case sqliteForeignKey:
			return fault.Conflictf("The object is referred to, or refers to one that is gone.").Because(wrapped)
		case sqliteFull:
			return fault.Unavailablef("The disk of the control plane is full.").Because(wrapped)
		case sqliteBusy:
			return fault.Unavailablef("The database is busy.").Because(wrapped)
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "23505":
			return fault.Conflictf("An object with the same identity exists.").Because(wrapped)
		case pg.Code == "23503":
			return fault.Conflictf("The object is referred to, or refers to one that is gone.").Because(wrapped)
		case pg.Code == "53100":
			return fault.Unavailablef("The disk of the control plane is full.").Because(wrapped)
		case pg.Code[:2] == "08", pg.Code[:2] == "57", pg.Code == "53300":
			return fault.Unavailablef("The database does not answer.").Because(wrapped)
		}
	}
	return wrapped
}

// Translate is translate for stores that write their own SQL.
func Translate(err error, doing string) error { return translate(err, doing) }
