package scale

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
)

// part are the rows of one table that belong to a thing.
type part struct {
	table, column, value string
	columns              []string
	rows                 [][]any
}

// original is a thing made by the API, of which copies are made in the database.
type original struct {
	t     testing.TB
	d     *db.DB
	parts []*part
	names []string // texts that are another's in each copy: identifiers
	more  func(text string, n int) string
}

// read loads the rows of a part.
func (o *original) read(table, column, value string) {
	o.t.Helper()
	p := &part{table: table, column: column, value: value}
	rows, err := o.d.QueryContext(context.Background(), "SELECT * FROM "+table+" WHERE "+column+" = $1", value)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	if p.columns, err = rows.Columns(); err != nil {
		o.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(p.columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			o.t.Fatal(err)
		}
		for i, v := range values {
			values[i] = *v.(*any)
			if raw, ok := values[i].([]byte); ok {
				values[i] = string(raw)
			}
		}
		p.rows = append(p.rows, values)
	}
	if rows.Err() != nil || len(p.rows) == 0 {
		o.t.Fatalf("no rows of %s %s in %s: %v", column, value, table, rows.Err())
	}
	o.parts = append(o.parts, p)
}

// copies makes copies number from to until, many in a transaction.
func (o *original) copies(from, until int) {
	o.t.Helper()
	ctx := context.Background()
	for at := from; at < until; at += 500 {
		names := make([][]string, min(500, until-at))
		for i := range names {
			for _, name := range o.names {
				fresh := id.New()
				if !strings.Contains(name, "-") {
					fresh = strings.ReplaceAll(fresh, "-", "")
				}
				names[i] = append(names[i], name, fresh)
			}
		}
		err := o.d.Write(ctx, func(tx *db.Tx) error {
			for i, pairs := range names {
				if err := o.insert(ctx, tx, strings.NewReplacer(pairs...), at+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *original) insert(ctx context.Context, tx *db.Tx, names *strings.Replacer, n int) error {
	for _, p := range o.parts {
		marks := make([]string, len(p.columns))
		for i := range marks {
			marks[i] = fmt.Sprintf("$%d", i+1)
		}
		statement := "INSERT INTO " + p.table + " (" + strings.Join(p.columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
		for _, row := range p.rows {
			values := make([]any, len(row))
			for i, v := range row {
				values[i] = v
				if text, ok := v.(string); ok {
					values[i] = o.more(names.Replace(text), n)
				}
				switch p.columns[i] {
				case "serial", "segmentation_id":
					values[i] = int64(1_000_000 + n)
				case "created_at":
					if at, ok := v.(int64); ok {
						values[i] = at - int64(n)
					}
				}
			}
			if _, err := tx.ExecContext(ctx, statement, values...); err != nil {
				return fmt.Errorf("%s: %w", p.table, err)
			}
		}
	}
	return nil
}
