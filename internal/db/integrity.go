package db

import (
	"context"
	"fmt"
	"strings"
)

// Problem is something that a database says of itself.
type Problem struct{ Subject, Text string }

// Damage asks the database whether it is whole: pages, indexes, unique values.
func (d *DB) Damage(ctx context.Context, q Querier) ([]Problem, error) {
	if d.engine == Postgres {
		return problems(ctx, q, "SELECT c.relname, 'the index is not valid' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid")
	}
	found, err := problems(ctx, q, "SELECT 'database', quick_check FROM pragma_quick_check LIMIT 20")
	if len(found) == 1 && found[0].Text == "ok" {
		return nil, err
	}
	return found, err
}

// Dangling lists rows that refer to rows that are not there. PostgreSQL never
// has them while its constraints are valid.
func (d *DB) Dangling(ctx context.Context, q Querier) ([]Problem, error) {
	if d.engine == Postgres {
		return problems(ctx, q, "SELECT conrelid::regclass::text, 'constraint ' || conname || ' is not valid' FROM pg_constraint WHERE NOT convalidated")
	}
	return problems(ctx, q, `SELECT "table" || ' row ' || COALESCE(rowid, 0), 'refers to a row of ' || parent || ' that is not there' FROM pragma_foreign_key_check`)
}

// Quantities lists "table.column" of all columns that hold whole numbers.
func (d *DB) Quantities(ctx context.Context, q Querier) ([]string, error) {
	query := `SELECT m.name || '.' || c.name, '' FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND LOWER(c.type) = 'bigint' AND m.name NOT LIKE 'goose%' ORDER BY 1`
	if d.engine == Postgres {
		query = `SELECT table_name || '.' || column_name, '' FROM information_schema.columns
			WHERE table_schema = 'public' AND data_type = 'bigint' AND table_name NOT LIKE 'goose%' ORDER BY 1`
	}
	found, err := problems(ctx, q, query)
	out := make([]string, len(found))
	for i, f := range found {
		out[i] = f.Subject
	}
	return out, err
}

// Below counts the rows whose column, "table.column" of Quantities, is below a limit.
func (d *DB) Below(ctx context.Context, q Querier, column string, limit int64) (n int64, err error) {
	table, name, ok := strings.Cut(column, ".")
	if !ok {
		return 0, fmt.Errorf("%q is no column", column)
	}
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quote(table)+" WHERE "+quote(name)+" < $1", limit).Scan(&n)
	return n, translate(err, "look at "+column)
}

// Loose lists the rows whose column names, by its id, a row of another table
// that is not there; empty names none.
func (d *DB) Loose(ctx context.Context, q Querier, table, column, to string) ([]Problem, error) {
	return problems(ctx, q, "SELECT id, '"+column+" is ' || "+column+" || ', which is not there' FROM "+table+
		" WHERE "+column+" <> '' AND "+column+" NOT IN (SELECT id FROM "+to+")")
}

// Strays lists the rows whose column holds none of these values, with what it holds.
func (d *DB) Strays(ctx context.Context, q Querier, table, column string, known []string) ([]Problem, error) {
	places, args := make([]string, len(known)), make([]any, len(known))
	for i, k := range known {
		places[i], args[i] = fmt.Sprintf("$%d", i+1), k
	}
	return problems(ctx, q, "SELECT id, "+column+" FROM "+table+" WHERE "+column+" NOT IN ("+strings.Join(places, ", ")+")", args...)
}

func problems(ctx context.Context, q Querier, query string, args ...any) ([]Problem, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate(err, "check the database")
	}
	defer rows.Close()
	var out []Problem
	for rows.Next() {
		var p Problem
		if err := rows.Scan(&p.Subject, &p.Text); err != nil {
			return nil, translate(err, "check the database")
		}
		out = append(out, p)
	}
	return out, translate(rows.Err(), "check the database")
}
