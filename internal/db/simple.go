package db

import (
	"fmt"
	"strconv"

	"github.com/mekcloud/mek/internal/listing"
)

// simple writes a statement whose conditions are "column = value" and "column in
// values": nearly every one that a request makes. A builder for any condition
// takes longer to write such a statement than the engine to carry it out.
type simple struct {
	text []byte
	args []any
}

// bind writes a placeholder for a value.
func (p *simple) bind(v any) {
	p.args = append(p.args, v)
	p.text = strconv.AppendInt(append(p.text, '$'), int64(len(p.args)), 10)
}

// where adds the conditions, and those that narrow gives for them; false: there is
// one of another kind.
func (p *simple) where(engine Engine, terms []listing.Term, narrow func(listing.Term) string) bool {
	for i, t := range terms {
		if i == 0 {
			p.text = append(p.text, " WHERE "...)
		} else {
			p.text = append(p.text, " AND "...)
		}
		switch {
		case (t.Op == listing.Eq || t.Op == "") && len(t.Values) == 1:
			p.text = append(append(p.text, t.Column...), " = "...)
			p.bind(t.Values[0])
		case t.Op == listing.In && len(t.Values) > 0 && len(t.Values) <= mostValues:
			p.in(engine, t)
		default:
			return false
		}
		if extra := narrow(t); extra != "" {
			p.text = append(append(p.text, " AND "...), extra...)
		}
	}
	return true
}

func (p *simple) in(engine Engine, t listing.Term) {
	p.text = append(p.text, t.Column...)
	if format, arg, ok := asOne(engine, t.Values); ok {
		p.args = append(p.args, arg)
		p.text = fmt.Appendf(p.text, format, "$"+strconv.Itoa(len(p.args)))
		return
	}
	p.text = append(p.text, " IN ("...)
	for i, v := range t.Values {
		if i > 0 {
			p.text = append(p.text, ", "...)
		}
		p.bind(v)
	}
	p.text = append(p.text, ')')
}

// order adds the order and the bound of a page.
func (p *simple) order(order []listing.Order, limit int) {
	for i, o := range order {
		if i == 0 {
			p.text = append(p.text, " ORDER BY "...)
		} else {
			p.text = append(p.text, ", "...)
		}
		p.text = append(p.text, o.Column...)
		if o.Desc {
			p.text = append(p.text, " DESC"...)
		} else {
			p.text = append(p.text, " ASC"...)
		}
	}
	if limit > 0 {
		p.text = append(p.text, " LIMIT "...)
		p.bind(limit)
	}
}

// set writes assignments.
func (p *simple) set(column string, v any) {
	if len(p.args) > 0 {
		p.text = append(p.text, ", "...)
	}
	p.text = append(append(p.text, column...), " = "...)
	p.bind(v)
}

func (p *simple) key(column string, key any) (query string, args []any) {
	p.text = append(append(append(p.text, " WHERE "...), column...), " = "...)
	p.bind(key)
	return string(p.text), p.args
}
