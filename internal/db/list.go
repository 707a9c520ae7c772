package db

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/huandu/go-sqlbuilder"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// List loads a page by keyset: for each sort column, "equal so far, and beyond
// the marker here". created_at (if the table has it) and the key are appended
// to the order, so that it is total. Sort columns must be NOT NULL.
func (t *Table[T]) List(ctx context.Context, q Querier, query listing.Query, extra ...Cond) ([]*T, error) {
	return t.ListEither(ctx, q, query, nil, extra...)
}

// ListEither is List of rows that also meet one of some conditions, which must
// exclude each other. A page of each is read in its own order, by its own index,
// and the page is made of them: neither engine does so for an OR.
func (t *Table[T]) ListEither(ctx context.Context, q Querier, query listing.Query, either []Cond, extra ...Cond) ([]*T, error) {
	order := t.order(query)
	if query.Marker == "" && len(either)+len(extra) == 0 {
		if p := (simple{text: []byte(t.selects)}); p.where(engineOf(q), query.Where, t.narrow) {
			p.order(order, query.Limit)
			return t.load(ctx, q, string(p.text), p.args, query.Back)
		}
	}
	var after []any
	if query.Marker != "" {
		var err error
		if after, err = t.marker(ctx, q, order, query.Marker); err != nil {
			return nil, err
		}
	}
	if len(either) > 0 && query.Limit == 0 { // all are read and sorted anyway
		extra, either = append(extra, anyOf(either)), nil
	}
	b, err := t.page(engineOf(q), query, order, after, extra)
	if len(either) > 0 && err == nil {
		b, err = t.union(engineOf(q), query, order, after, either, extra)
	}
	if err != nil {
		return nil, err
	}
	text, args := b.BuildWithFlavor(sqlbuilder.PostgreSQL)
	return t.load(ctx, q, text, args, query.Back)
}

func (t *Table[T]) load(ctx context.Context, q Querier, text string, args []any, back bool) ([]*T, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, translate(err, "list "+t.name)
	}
	out, err := t.scan(rows)
	if back {
		slices.Reverse(out)
	}
	return out, err
}

func anyOf(conds []Cond) Cond {
	var out Cond
	for i, c := range conds {
		if i > 0 {
			out.SQL += " OR "
		}
		out.SQL, out.Args = out.SQL+"("+c.SQL+")", append(out.Args, c.Args...)
	}
	return out
}

// page selects the rows beyond a marker, in order.
func (t *Table[T]) page(engine Engine, query listing.Query, order []listing.Order, after []any, conds []Cond) (*sqlbuilder.SelectBuilder, error) {
	b := t.rows.SelectFrom(t.name)
	if err := t.where(&b.Cond, func(s ...string) { b.Where(s...) }, query.Where, engine); err != nil {
		return nil, err
	}
	for _, c := range conds {
		b.Where(bind(&b.Cond, c))
	}
	if after != nil {
		b.Where(beyond(&b.Cond, order, after))
	}
	return ordered(b, order, query.Limit), nil
}

func (t *Table[T]) union(engine Engine, query listing.Query, order []listing.Order, after []any, either, extra []Cond) (*sqlbuilder.SelectBuilder, error) {
	b := sqlbuilder.PostgreSQL.NewSelectBuilder().Select(t.columns...)
	columns, parts := strings.Join(t.columns, ", "), make([]string, len(either))
	for i, one := range either {
		part, err := t.page(engine, query, order, after, append(extra[:len(extra):len(extra)], one))
		if err != nil {
			return nil, err
		}
		parts[i] = "SELECT " + columns + " FROM " + b.BuilderAs(part, "part"+strconv.Itoa(i))
	}
	b.From("(" + strings.Join(parts, " UNION ALL ") + ") AS parts")
	return ordered(b, order, query.Limit), nil
}

func ordered(b *sqlbuilder.SelectBuilder, order []listing.Order, limit int) *sqlbuilder.SelectBuilder {
	for _, o := range order {
		if o.Desc {
			b.OrderByDesc(o.Column)
		} else {
			b.OrderByAsc(o.Column)
		}
	}
	if limit > 0 {
		b.Limit(limit)
	}
	return b
}

func (t *Table[T]) order(query listing.Query) []listing.Order {
	order := slices.Clone(query.Order)
	has := func(c string) bool {
		return slices.ContainsFunc(order, func(o listing.Order) bool { return o.Column == c })
	}
	desc := len(order) > 0 && order[len(order)-1].Desc
	for _, c := range []string{"created_at", t.key} {
		if slices.Contains(t.columns, c) && !has(c) {
			order = append(order, listing.Order{Column: c, Desc: desc})
		}
	}
	if query.Back {
		for i := range order {
			order[i].Desc = !order[i].Desc
		}
	}
	return order
}

func (t *Table[T]) marker(ctx context.Context, q Querier, order []listing.Order, marker string) ([]any, error) {
	columns, values, into := []string{}, make([]any, len(order)), make([]any, len(order))
	for i, o := range order {
		columns = append(columns, o.Column)
		into[i] = &values[i]
	}
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + t.name + " WHERE " + t.key + " = $1"
	if err := q.QueryRowContext(ctx, query, marker).Scan(into...); err != nil {
		if fault.Is(translate(err, ""), fault.NotFound) {
			return nil, fault.Invalidf("marker [%s] not found", marker).With("MarkerNotFound")
		}
		return nil, translate(err, "find marker in "+t.name)
	}
	return values, nil
}

func beyond(c *sqlbuilder.Cond, order []listing.Order, values []any) string {
	branches := make([]string, 0, len(order))
	for i, o := range order {
		ands := make([]string, 0, i+1)
		for j := range i {
			ands = append(ands, c.Equal(order[j].Column, values[j]))
		}
		if o.Desc {
			ands = append(ands, c.LessThan(o.Column, values[i]))
		} else {
			ands = append(ands, c.GreaterThan(o.Column, values[i]))
		}
		branches = append(branches, c.And(ands...))
	}
	return c.Or(branches...)
}

// bind writes a store's own condition with its arguments bound.
func bind(c *sqlbuilder.Cond, cond Cond) string {
	parts := strings.Split(cond.SQL, "?")
	var sb strings.Builder
	for i, p := range parts {
		sb.WriteString(p)
		if i < len(parts)-1 {
			sb.WriteString(c.Var(cond.Args[i]))
		}
	}
	return "(" + sb.String() + ")"
}

// fewValues are written out one by one: the engines plan a short list best.
const fewValues = 4

// asOne is a comparison with one of many texts that binds all of them as one
// value: the statement is always the same, and stays parsed.
func asOne(engine Engine, values []any) (format string, arg any, ok bool) {
	if len(values) <= fewValues {
		return "", nil, false
	}
	texts := make([]string, len(values))
	for i, v := range values {
		if texts[i], ok = v.(string); !ok {
			return "", nil, false
		}
	}
	if engine == Postgres {
		return " = ANY(%s)", texts, true
	}
	list, err := json.Marshal(texts)
	return " IN (SELECT value FROM json_each(%s))", string(list), err == nil
}

// OneOf writes a store's own statement "… WHERE id IN (?)" for values, which
// must not be empty, and whatever engine q is of.
func OneOf(q Querier, query string, values []string) (text string, args []any) {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	if format, arg, ok := asOne(engineOf(q), list); ok {
		return strings.Replace(query, " IN (?)", fmt.Sprintf(format, "$1"), 1), []any{arg}
	}
	return In(query, values)
}

// In writes placeholders for values in place of the one ? of a store's own
// statement, "… WHERE id IN (?)". Values must not be empty.
func In(query string, values []string) (text string, args []any) {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i], args = "$"+strconv.Itoa(i+1), append(args, v)
	}
	return strings.Replace(query, "?", strings.Join(parts, ", "), 1), args
}

func (t *Table[T]) where(c *sqlbuilder.Cond, add func(...string), terms []listing.Term, engine Engine) error {
	for _, term := range terms {
		text, err := condition(c, term, engine)
		if err != nil {
			return err
		}
		add(text)
		if extra := t.narrow(term); extra != "" {
			add(extra)
		}
	}
	return nil
}

// longestPattern is what SQLite takes for a pattern, with every character
// escaped; nothing that lists look into is as long.
const longestPattern = 20_000

// mostValues is what both engines bind to one statement, with room for others.
const mostValues = 30_000

func condition(c *sqlbuilder.Cond, t listing.Term, engine Engine) (string, error) {
	if len(t.Values) == 0 && t.Op != listing.In && t.Op != listing.NotIn {
		return "", fault.Internalf("a condition on %s without a value", t.Column)
	}
	if len(t.Values) > mostValues {
		return "", fault.Invalidf("A filter has too many values.")
	}
	switch t.Op {
	case listing.Eq, "":
		return c.Equal(t.Column, t.Values[0]), nil
	case listing.NotEq:
		return c.NotEqual(t.Column, t.Values[0]), nil
	case listing.Less:
		return c.LessThan(t.Column, t.Values[0]), nil
	case listing.LessEq:
		return c.LessEqualThan(t.Column, t.Values[0]), nil
	case listing.More:
		return c.GreaterThan(t.Column, t.Values[0]), nil
	case listing.MoreEq:
		return c.GreaterEqualThan(t.Column, t.Values[0]), nil
	case listing.In:
		if len(t.Values) == 0 {
			return "1 = 0", nil
		}
		if list, arg, ok := asOne(engine, t.Values); ok {
			return t.Column + fmt.Sprintf(list, c.Var(arg)), nil
		}
		return c.In(t.Column, t.Values...), nil
	case listing.NotIn:
		if len(t.Values) == 0 {
			return "1 = 1", nil
		}
		return c.NotIn(t.Column, t.Values...), nil
	case listing.Contains:
		if len(fmt.Sprint(t.Values[0])) > longestPattern {
			return "1 = 0", nil
		}
		// both sides by the engine's own LOWER: they differ beyond ASCII
		return "LOWER(" + t.Column + ") LIKE LOWER(" + c.Var("%"+escapeLike(fmt.Sprint(t.Values[0]))+"%") + `) ESCAPE '\'`, nil
	case listing.Prefix:
		// not LIKE, which ignores case on SQLite
		v := fmt.Sprint(t.Values[0])
		return "SUBSTR(" + t.Column + ", 1, LENGTH(CAST(" + c.Var(v) + " AS text))) = CAST(" + c.Var(v) + " AS text)", nil
	case listing.IsNull:
		if fmt.Sprint(t.Values[0]) == "true" {
			return c.IsNull(t.Column), nil
		}
		return c.IsNotNull(t.Column), nil
	case listing.Matches:
		return matches(c, t, engine), nil
	}
	return "", fault.Internalf("unknown comparison %q", t.Op)
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
