package watch

import (
	"context"
	"strings"

	"github.com/mekcloud/mek/internal/db"
)

// Change is one row's change; Old or New is empty when it came or went.
type Change struct{ Table, ID, Old, New string }

// Log is what is recorded of a database.
type Log struct{ d *db.DB }

// Start records changes from here on: of the columns given for tables, and the
// coming and going of rows of every other table that has an id.
func Start(ctx context.Context, d *db.DB, columns map[string]string) (*Log, error) {
	if d.Engine() != db.SQLite {
		return nil, nil
	}
	tables, err := withIDs(ctx, d)
	if err != nil {
		return nil, err
	}
	err = d.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TEMP TABLE IF NOT EXISTS watched (n INTEGER PRIMARY KEY, tab TEXT, id TEXT, old TEXT, new TEXT)"); err != nil {
			return db.Translate(err, "watch")
		}
		for _, table := range tables {
			if err := trigger(ctx, tx, table, columns[table]); err != nil {
				return err
			}
		}
		return nil
	})
	return &Log{d}, err
}

func withIDs(ctx context.Context, d *db.DB) (out []string, err error) {
	rows, err := d.QueryContext(ctx, `SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.name = 'id' AND c.pk = 1 AND c.type = 'TEXT' COLLATE NOCASE`)
	if err != nil {
		return nil, db.Translate(err, "watch")
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, db.Translate(err, "watch")
		}
		out = append(out, name)
	}
	return out, db.Translate(rows.Err(), "watch")
}

// trigger watches one table; without a column its rows are there or not.
func trigger(ctx context.Context, tx *db.Tx, table, column string) error {
	was, is := "'there'", "'there'"
	if column != "" {
		was, is = "OLD."+column, "NEW."+column
	}
	statements := []string{
		"CREATE TEMP TRIGGER IF NOT EXISTS watch_in_TABLE AFTER INSERT ON main.TABLE BEGIN INSERT INTO watched (tab, id, old, new) VALUES ('TABLE', NEW.id, '', NEWS); END",
		"CREATE TEMP TRIGGER IF NOT EXISTS watch_out_TABLE AFTER DELETE ON main.TABLE BEGIN INSERT INTO watched (tab, id, old, new) VALUES ('TABLE', OLD.id, OLDS, ''); END",
	}
	if column != "" {
		statements = append(statements, `CREATE TEMP TRIGGER IF NOT EXISTS watch_at_TABLE AFTER UPDATE ON main.TABLE WHEN OLDS IS NOT NEWS
			BEGIN INSERT INTO watched (tab, id, old, new) VALUES ('TABLE', NEW.id, OLDS, NEWS); END`)
	}
	for _, s := range statements {
		s = strings.NewReplacer("TABLE", table, "OLDS", was, "NEWS", is).Replace(s)
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return db.Translate(err, "watch "+table)
		}
	}
	return nil
}

// Changes lists what was committed since the start, in order.
func (l *Log) Changes(ctx context.Context) (out []Change, err error) {
	if l == nil {
		return nil, nil
	}
	err = l.d.Write(ctx, func(tx *db.Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx, "SELECT tab, id, COALESCE(old, ''), COALESCE(new, '') FROM watched ORDER BY n")
		if err != nil {
			return db.Translate(err, "watch")
		}
		defer rows.Close()
		for rows.Next() {
			var c Change
			if err := rows.Scan(&c.Table, &c.ID, &c.Old, &c.New); err != nil {
				return db.Translate(err, "watch")
			}
			out = append(out, c)
		}
		return db.Translate(rows.Err(), "watch")
	})
	return out, err
}
