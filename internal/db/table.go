package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/huandu/go-sqlbuilder"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/reread"
)

// Table maps rows of one table to T by `db:"column"` tags. Columns filtered or
// sorted by must be NOT NULL. The zero Table is not usable; see NewTable.
type Table[T any] struct {
	name, key, noun string
	rows            *sqlbuilder.Struct
	columns         []string
	fields          [][]int          // of T, by column
	readers         []*reread.Reader // of the columns that keep a value as text; nil: another
	keyed           int              // the key's place among the columns
	selects         string
	insert, get     string // statements that never differ, written once
	one             string // insert of one row
	upsert          string
	partial         map[string]partial // indexes that have some of the rows, by column
}

// NewTable describes a table: its SQL name, its key column and the word that
// "could not be found" texts use, for example "Server".
func NewTable[T any](name, key, noun string) *Table[T] {
	s := sqlbuilder.NewStruct(new(T)).For(sqlbuilder.PostgreSQL)
	t := &Table[T]{name: name, key: key, noun: noun, rows: s, columns: s.Columns()}
	t.fields, t.keyed = columnsOf(reflect.TypeFor[T](), t.columns), slices.Index(t.columns, key)
	t.readers = make([]*reread.Reader, len(t.columns))
	for i, column := range t.addresses(make([]any, len(t.columns)), new(T)) {
		if d, ok := column.(document); ok {
			t.readers[i] = d.reader()
		}
	}
	t.insert = "INSERT INTO " + name + " (" + strings.Join(t.columns, ", ") + ") VALUES "
	t.one = t.insert + tuples(1, len(t.columns))
	t.selects = "SELECT " + strings.Join(t.columns, ", ") + " FROM " + name
	t.get = t.selects + " WHERE " + key + " = $1 LIMIT 1"
	sets := make([]string, 0, len(t.columns))
	for _, c := range t.columns {
		if c != key {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	t.upsert = t.one + " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(sets, ", ")
	return t
}

// partial is an index that has only the rows which meet a condition.
type partial struct {
	condition string
	has       func(value string) bool // rows of it
}

// Partial declares that the index of a column has only the rows that meet a
// condition, which those of some values do: conditions on such values say so, for
// an engine takes the index only for a statement that does.
func (t *Table[T]) Partial(column, condition string, has func(value string) bool) *Table[T] {
	if t.partial == nil {
		t.partial = map[string]partial{}
	}
	t.partial[column] = partial{condition, has}
	return t
}

// Sparse is Partial for columns that most rows leave empty, and indexes of the others.
func (t *Table[T]) Sparse(columns ...string) *Table[T] {
	for _, c := range columns {
		t.Partial(c, c+" <> ''", func(value string) bool { return value != "" })
	}
	return t
}

// narrow is what goes without saying when a condition is met, but has to be said for
// the sake of a partial index; empty: nothing.
func (t *Table[T]) narrow(term listing.Term) string {
	p, ok := t.partial[term.Column]
	if !ok || len(term.Values) == 0 || term.Op != listing.Eq && term.Op != listing.In && term.Op != "" {
		return ""
	}
	for _, v := range term.Values {
		if text, ok := v.(string); !ok || !p.has(text) {
			return ""
		}
	}
	return p.condition
}

// Cond is a condition a store writes itself, with ? for each argument.
type Cond struct {
	SQL  string
	Args []any
}

// Insert adds rows. A taken key or unique value is a Conflict.
func (t *Table[T]) Insert(ctx context.Context, tx *Tx, rows ...*T) error {
	for some := range slices.Chunk(rows, insertedAtOnce) {
		args := make([]any, 0, len(some)*len(t.columns))
		for _, row := range some {
			args = t.values(args, row)
		}
		text := t.one
		if len(some) > 1 {
			text = t.insert + tuples(len(some), len(t.columns))
		}
		if _, err := tx.ExecContext(ctx, text, args...); err != nil {
			return translate(err, "insert into "+t.name)
		}
	}
	return nil
}

// InsertUnless adds a row unless another one has its values of some columns that are
// unique together, and tells whether it did: what was chosen at random is chosen again.
func (t *Table[T]) InsertUnless(ctx context.Context, tx *Tx, row *T, unique string) (bool, error) {
	done, err := tx.ExecContext(ctx, t.one+" ON CONFLICT ("+unique+") DO NOTHING", t.values(nil, row)...)
	if err != nil {
		return false, translate(err, "insert into "+t.name)
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

// insertedAtOnce is how many rows one statement adds.
const insertedAtOnce = 64

// tuples writes the placeholders of some rows: ($1, $2), ($3, $4).
func tuples(rows, columns int) string {
	b := make([]byte, 0, rows*columns*5)
	for i := range rows * columns {
		switch {
		case i == 0:
			b = append(b, '(')
		case i%columns == 0:
			b = append(b, "), ("...)
		default:
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(append(b, '$'), int64(i+1), 10)
	}
	return string(append(b, ')'))
}

// Upsert adds a row or replaces all columns of the one with the same key.
func (t *Table[T]) Upsert(ctx context.Context, tx *Tx, row *T) error {
	_, err := tx.ExecContext(ctx, t.upsert, t.values(nil, row)...)
	return translate(err, "upsert "+t.name)
}

// Get loads one row by its key; NotFound when there is none.
func (t *Table[T]) Get(ctx context.Context, q Querier, key string) (*T, error) {
	found, err := q.QueryContext(ctx, t.get, key)
	if err != nil {
		return nil, translate(err, "list "+t.name)
	}
	rows, err := t.scan(found)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fault.NotFoundf("%s %s could not be found.", t.noun, key)
	}
	return rows[0], nil
}

// Hold keeps others from changing a row until the end, for a transaction that
// needs nothing of it (more) than that; NotFound when it is gone. SQLite has
// one writer anyway, and what this transaction read there is still so.
func (t *Table[T]) Hold(ctx context.Context, tx *Tx, key string) error {
	if tx.engine != Postgres {
		return nil
	}
	return t.affect(ctx, tx, key, "SELECT 1 FROM "+t.name+" WHERE "+t.key+" = $1 FOR UPDATE", []any{key})
}

// GetForUpdate loads a row in a transaction and keeps others from changing it
// until the end (a row lock on PostgreSQL; SQLite has one writer anyway).
func (t *Table[T]) GetForUpdate(ctx context.Context, tx *Tx, key string) (*T, error) {
	if tx.engine == Postgres {
		query := "SELECT 1 FROM " + t.name + " WHERE " + t.key + " = $1 FOR UPDATE"
		if _, err := tx.ExecContext(ctx, query, key); err != nil {
			return nil, translate(err, "lock "+t.name)
		}
	}
	return t.Get(ctx, tx, key)
}

// One loads the first row that meets all terms; NotFound when there is none.
func (t *Table[T]) One(ctx context.Context, q Querier, terms ...listing.Term) (*T, error) {
	rows, err := t.List(ctx, q, listing.Query{Where: terms, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fault.NotFoundf("%s could not be found.", t.noun)
	}
	return rows[0], nil
}

// Find loads all rows that meet all terms.
func (t *Table[T]) Find(ctx context.Context, q Querier, terms ...listing.Term) ([]*T, error) {
	return t.List(ctx, q, listing.Query{Where: terms})
}

// Update writes a row by its key, but for columns that have not changed; NotFound
// when it is gone. An engine writes an index anew for each of its columns that a
// statement names, whether it changes or not.
func (t *Table[T]) Update(ctx context.Context, tx *Tx, row *T, unchanged ...string) error {
	p, values := simple{text: []byte("UPDATE " + t.name + " SET ")}, t.values(nil, row)
	for i, c := range t.columns {
		if i != t.keyed && !slices.Contains(unchanged, c) {
			p.set(c, values[i])
		}
	}
	query, args := p.key(t.key, values[t.keyed])
	return t.affect(ctx, tx, values[t.keyed], query, args)
}

// Set writes some columns of the row with a key; NotFound when it is gone.
func (t *Table[T]) Set(ctx context.Context, tx *Tx, key string, values map[string]any) error {
	p := simple{text: []byte("UPDATE " + t.name + " SET ")}
	for _, c := range t.columns { // in a fixed order, and only columns that exist
		if v, ok := values[c]; ok {
			p.set(c, v)
		}
	}
	query, args := p.key(t.key, key)
	return t.affect(ctx, tx, key, query, args)
}

// Delete removes the row with a key; NotFound when it is gone.
func (t *Table[T]) Delete(ctx context.Context, tx *Tx, key string) error {
	p := simple{text: []byte("DELETE FROM " + t.name)}
	query, args := p.key(t.key, key)
	return t.affect(ctx, tx, key, query, args)
}

// DeleteWhere removes all rows that meet all terms and tells how many.
func (t *Table[T]) DeleteWhere(ctx context.Context, tx *Tx, terms ...listing.Term) (int64, error) {
	p := simple{text: []byte("DELETE FROM " + t.name)}
	query, args := "", []any(nil)
	if p.where(tx.engine, terms, t.narrow) {
		query, args = string(p.text), p.args
	} else {
		b := sqlbuilder.PostgreSQL.NewDeleteBuilder().DeleteFrom(t.name)
		if err := t.where(&b.Cond, func(s ...string) { b.Where(s...) }, terms, tx.engine); err != nil {
			return 0, err
		}
		query, args = b.Build()
	}
	done, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, translate(err, "delete from "+t.name)
	}
	return done.RowsAffected()
}

// Count tells how many rows meet all terms.
func (t *Table[T]) Count(ctx context.Context, q Querier, terms ...listing.Term) (int64, error) {
	return t.CountWhere(ctx, q, terms)
}

// CountWhere is Count with conditions that a store writes itself.
func (t *Table[T]) CountWhere(ctx context.Context, q Querier, terms []listing.Term, extra ...Cond) (int64, error) {
	if p := (simple{text: []byte("SELECT COUNT(*) FROM " + t.name)}); len(extra) == 0 && p.where(engineOf(q), terms, t.narrow) {
		return t.number(ctx, q, string(p.text), p.args)
	}
	b := sqlbuilder.PostgreSQL.NewSelectBuilder().Select("COUNT(*)").From(t.name)
	if err := t.where(&b.Cond, func(s ...string) { b.Where(s...) }, terms, engineOf(q)); err != nil {
		return 0, err
	}
	for _, c := range extra {
		b.Where(bind(&b.Cond, c))
	}
	query, args := b.Build()
	return t.number(ctx, q, query, args)
}

func (t *Table[T]) number(ctx context.Context, q Querier, query string, args []any) (n int64, err error) {
	err = q.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, translate(err, "count "+t.name)
}

func (t *Table[T]) affect(ctx context.Context, tx *Tx, key any, query string, args []any) error {
	done, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return translate(err, "change "+t.name)
	}
	if n, err := done.RowsAffected(); err == nil && n == 0 {
		return fault.NotFoundf("%s %v could not be found.", t.noun, key)
	}
	return nil
}

func (t *Table[T]) scan(rows *sql.Rows) ([]*T, error) {
	defer rows.Close()
	places := make([]any, len(t.fields))
	r := reading[T]{rows: rows, out: []*T{}, readers: t.readers, into: func(row *T) []any { return t.addresses(places, row) }}
	if err := r.all(); err != nil {
		return nil, translate(err, "read "+t.name)
	}
	return r.out, nil
}

func engineOf(q Querier) Engine {
	switch q := q.(type) {
	case *Tx:
		return q.engine
	case *DB:
		return q.engine
	case snapshot:
		return q.engine
	}
	return SQLite
}

// JSON keeps a value as JSON text in a column.
type JSON[T any] struct{ V T }

// J wraps a value for a JSON column.
func J[T any](v T) JSON[T] { return JSON[T]{v} }

// Value gives the text to the driver.
func (j JSON[T]) Value() (driver.Value, error) {
	b, err := json.Marshal(j.V)
	return string(b), err
}

// Scan reads the text from the driver; empty text leaves the zero value.
func (j *JSON[T]) Scan(src any) error {
	b, err := textOf(src)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, &j.V)
}

func (j *JSON[T]) reader() *reread.Reader { return reread.Of(reflect.TypeFor[T]()) }

func (j *JSON[T]) decode(text []byte, r *reread.Reader) error {
	if len(text) == 0 {
		return nil
	}
	return r.Unmarshal(text, &j.V)
}
