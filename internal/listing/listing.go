// Package listing is what a store learns about a list request: checked columns
// and values, never a request. Package rest makes queries, package db turns
// them into keyset SQL.
package listing

// Op compares a column with values.
type Op string

// The comparisons. In and NotIn take any number of values, the others one.
const (
	Eq       Op = "="
	NotEq    Op = "<>"
	Less     Op = "<"
	LessEq   Op = "<="
	More     Op = ">"
	MoreEq   Op = ">="
	In       Op = "in"
	NotIn    Op = "not in"
	Contains Op = "contains" // substring, case-insensitive
	Prefix   Op = "prefix"
	IsNull   Op = "is null" // value "true" or "false"
	Matches  Op = "matches" // POSIX-like regular expression, checked after the query in Go
)

// Term is one condition. Column is an SQL name that a field table declared,
// or an expression of a store's own; Values are bound, never written into SQL.
type Term struct {
	Column string
	Op     Op
	Values []any
}

// Order is one sort key.
type Order struct {
	Column string
	Desc   bool
}

// Query is all a store learns about a list request.
type Query struct {
	Where  []Term
	Order  []Order // the store appends created_at and id where they are missing
	Marker string  // id of the last item of the page before; empty: from the start
	Limit  int     // 0: no limit
	Back   bool    // page towards the start (Neutron's page_reverse)
}

// And adds a condition and returns the query, for chaining.
func (q Query) And(column string, op Op, values ...any) Query {
	q.Where = append(q.Where[:len(q.Where):len(q.Where)], Term{column, op, values})
	return q
}
