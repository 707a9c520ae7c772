package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/mekcloud/mek/internal/fault"
)

// Extended result codes of SQLite, https://www.sqlite.org/rescode.html.
const (
	sqliteBusy       = 5
	sqliteReadOnly   = 8
	sqliteIO         = 10 // with what it was in the higher bits
	sqliteFull       = 13
	sqliteCantOpen   = 14
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
		switch lite.Code() & 0xff {
		case sqliteIO, sqliteReadOnly, sqliteCantOpen:
			return fault.Unavailablef("The disk of the control plane does not answer.").Because(wrapped)
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "23505":
			return fault.Conflictf("An object with the same identity exists.").Because(wrapped)
		case pg.Code == "23503":
			return fault.Conflictf("The object is referred to, or refers to one that is gone.").Because(wrapped)
		case pg.Code == "22021", pg.Code == "22P05": // SQLite stores any bytes
			return fault.Invalidf("The request holds characters that cannot be stored.").Because(wrapped)
		case pg.Code == "25006": // a standby, or somebody set it so
			return fault.Unavailablef("The database takes no changes at present.").Because(wrapped)
		case pg.Code == "53100":
			return fault.Unavailablef("The disk of the control plane is full.").Because(wrapped)
		case pg.Code[:2] == "08", pg.Code[:2] == "53", pg.Code[:2] == "57", pg.Code[:2] == "58": // connection, resources, an operator's hand, its system
			return fault.Unavailablef("The database does not answer.").Because(wrapped)
		}
		return wrapped
	}
	if lost(err) {
		return fault.Unavailablef("The database does not answer.").Because(wrapped)
	}
	return wrapped
}

// lost tells whether the connection to the database is what failed: whether a
// commit on it took place is not known.
func lost(err error) bool {
	var refused *pgconn.ConnectError
	var network *net.OpError
	var unsent interface{ SafeToRetry() bool }
	return errors.As(err, &refused) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.As(err, &unsent) && unsent.SafeToRetry()
}

// Translate is translate for stores that write their own SQL.
func Translate(err error, doing string) error { return translate(err, doing) }
