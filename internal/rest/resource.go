package rest

import (
	"context"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/beside"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
)

// Field declares one attribute of T as the API shows it.
type Field[T any] struct {
	Name         string // on the wire
	Column       string // in SQL, NOT NULL; empty: no filter, no sort
	Kind         Kind   // how a filter value is read
	Since, Until microversion.Version
	Rule         string // extra rule to see it; empty: none
	Get          func(*T) any
	Text         func(*T) string     // instead of Get, of what is always text: of long lists that is sooner written
	With         func(*Call, *T) any // instead of Get, where the view depends on the request (links)
	Hidden       bool                // filter and sort key only, not shown
	NoFilter     bool                // shown and sortable, but not a filter
	Omit         func(*T) bool       // leave the member out of this item
}

// Filter declares a query parameter that is no field.
type Filter struct {
	Name  string
	Rule  string // extra rule to use it; a caller without it has the filter ignored
	Terms func(c *Call, values []string) ([]listing.Term, error)
}

// Store is what a resource's reads need. Get's NotFound text is shown.
type Store[T any] interface {
	List(ctx context.Context, q listing.Query) ([]*T, error)
	Get(ctx context.Context, id string) (*T, error)
}

// Resource is the table of a resource, plus the few functions the toolkit
// cannot guess. From it follow list, show, paging, filters, sorting, field
// selection, versions and visibility.
type Resource[T any] struct {
	One, Many string                       // envelope keys: "server", "servers"
	Show      string                       // rule that makes an item visible: refused looks missing
	All       string                       // rule to list every project's items; empty: lists are not tied to a project
	AllKeys   []string                     // parameters that ask for it: "all_tenants"; none: holders of All see all
	Owner     string                       // column of the owning project, "project_id"
	Visible   func(c *Call) []listing.Term // further conditions of lists for callers without All (shared items); replaces Owner
	Fields    []Field[T]
	Filters   []Filter
	ID        func(*T) string
	Target    func(*T) policy.Target
	TargetFor func(*Call, *T) policy.Target // instead of Target, where it depends on the caller (items shared with projects)
	Store     Store[T]
	Before    func(c *Call, items []*T) error // loads what the views of a list's items ask for, all at once
	MaxLimit  int                             // 0: the dialect's
	Order     []listing.Order                 // default order before created_at and id
	NotFound  func(id string) error
	Apart     bool // the fields of two items may be asked at the same time: of a long list two processors write a half each
}

// Index answers GET /many.
func (r *Resource[T]) Index(c *Call) (Reply, error) {
	body, err := r.listBody(c, r.write)
	if err != nil {
		return Reply{}, err
	}
	return OK(body)
}

// ListBody makes the body of a list with its paging members; more adds conditions.
func (r *Resource[T]) ListBody(c *Call, more ...listing.Term) (map[string]any, error) {
	return r.listBody(c, r.views, more...)
}

func (r *Resource[T]) listBody(c *Call, render func(c *Call, items []*T) (any, error), more ...listing.Term) (map[string]any, error) {
	q, page, err := r.Query(c)
	if err != nil {
		return nil, err
	}
	q.Where = append(q.Where, more...)
	if page.Limit == 0 && page.Asked {
		q.Limit = 0
	}
	var items []*T
	if !(page.Asked && page.Limit == 0) {
		if items, err = r.Store.List(c.Context(), q); err != nil {
			return nil, err
		}
	}
	if r.Before != nil && len(items) > 0 {
		if err := r.Before(c, items); err != nil {
			return nil, err
		}
	}
	views, err := render(c, items)
	if err != nil {
		return nil, err
	}
	body := map[string]any{r.Many: views}
	if links := c.service.Dialect.List.Links; links != nil {
		links(c, r.Many, body, r.pageLinks(c, q, page, items))
	}
	return body, nil
}

func (r *Resource[T]) views(c *Call, items []*T) (any, error) {
	views := make([]map[string]any, 0, len(items))
	only := r.only(c)
	for _, item := range items {
		views = append(views, r.view(c, item, only))
	}
	return views, nil
}

// write makes the same as views, as bytes and without a map of each item.
func (r *Resource[T]) write(c *Call, items []*T) (any, error) {
	only, fields := r.only(c), make([]member[T], 0, len(r.Fields))
	for i := range r.Fields {
		if f := &r.Fields[i]; r.shows(c, f, only) {
			key, err := AppendText(nil, f.Name)
			if err != nil {
				return nil, err
			}
			fields = append(fields, member[T]{f, append(key, ':')})
		}
	}
	slices.SortStableFunc(fields, func(a, b member[T]) int { return strings.Compare(a.Name, b.Name) })
	c.address = c.Link("")
	b, err := make([]byte, roomBefore, roomBefore+1), error(nil)
	b = append(b, '[')
	if halves := len(items) / 2; r.Apart && halves >= writtenApart && c.trace == nil {
		b, err = r.writeHalves(c, b, items[:halves], items[halves:], fields)
	} else {
		b, err = r.writeItems(c, b, items, len(items), fields)
	}
	if err != nil {
		return nil, err
	}
	return rendered(append(b, ']')), nil
}

// member is a field with its name as it is written.
type member[T any] struct {
	*Field[T]
	key []byte
}

// writtenApart is how many items are worth a goroutine.
const writtenApart = 50

// writeHalves has two processors write a long list.
func (r *Resource[T]) writeHalves(c *Call, b []byte, first, second []*T, fields []member[T]) ([]byte, error) {
	c.Values() // parsed now: what is parsed at need is parsed by one
	var rest []byte
	err := beside.Do(
		func() (err error) { rest, err = r.writeItems(c, nil, second, len(second), fields); return err },
		func() (err error) { b, err = r.writeItems(c, b, first, len(first)+len(second), fields); return err })
	return append(append(b, ','), rest...), err
}

// writeItems writes items with commas between them, in room for so many like the first.
func (r *Resource[T]) writeItems(c *Call, b []byte, items []*T, room int, fields []member[T]) ([]byte, error) {
	begin, err := len(b), error(nil)
	for i, item := range items {
		if i == 1 {
			b = slices.Grow(b, (len(b)-begin+1)*(room-1)*17/16+roomAround)
		}
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = r.writeItem(c, b, item, fields); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// writeItem writes an item's fields, which are in the order of their names. Of
// those with one name the last one is the value.
func (r *Resource[T]) writeItem(c *Call, b []byte, item *T, fields []member[T]) ([]byte, error) {
	begin, last, ask := len(b), "", r.asked(c, item)
	b = append(b, '{')
	member := len(b)
	var err error
	for _, f := range fields {
		if f.Omit != nil && f.Omit(item) || !ask(f.Rule) {
			continue
		}
		if f.Name == last && len(b) > begin+1 {
			b = b[:member]
		}
		last, member = f.Name, len(b)
		if member > begin+1 {
			b = append(b, ',')
		}
		b = append(b, f.key...)
		if f.Text != nil {
			b, err = AppendText(b, f.Text(item))
		} else {
			b, err = appendJSON(b, f.value(c, item))
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// Find loads one item: what the caller may not see does not exist; then the
// route's own rule is asked about it.
func (r *Resource[T]) Find(c *Call, id string) (*T, error) {
	item, err := r.Peek(c, id)
	if err != nil {
		return nil, err
	}
	return item, c.Authorize(r.target(c, item))
}

// Peek loads one visible item without asking the route's rule.
func (r *Resource[T]) Peek(c *Call, id string) (*T, error) {
	item, err := r.Store.Get(c.Context(), id)
	if err == nil && !c.Allow(r.Show, r.target(c, item)) {
		err = fault.NotFoundf("%s %s could not be found.", r.One, id)
	}
	if fault.Is(err, fault.NotFound) {
		c.authorised = true // refusing is an answer about the object too
		if r.NotFound != nil {
			err = r.NotFound(id)
		}
	}
	if err != nil {
		return nil, err
	}
	return item, nil
}

func (r *Resource[T]) target(c *Call, item *T) policy.Target {
	if r.TargetFor != nil {
		return r.TargetFor(c, item)
	}
	return r.Target(item)
}

// Read answers GET /many/{id}.
func (r *Resource[T]) Read(c *Call) (Reply, error) {
	item, err := r.Find(c, c.Var("id"))
	if err != nil {
		return Reply{}, err
	}
	return OK(r.Body(c, item))
}

// Body wraps the view of an item: {"server": {…}}.
func (r *Resource[T]) Body(c *Call, item *T) map[string]any {
	return map[string]any{r.One: r.View(c, item)}
}

// View renders the fields this caller may see at this version.
func (r *Resource[T]) View(c *Call, item *T) map[string]any {
	return r.view(c, item, r.only(c))
}

func (r *Resource[T]) only(c *Call) []string {
	if !c.service.Dialect.List.SelectFields || c.Method != "GET" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Values()["fields"]), func(s string) bool { return s == "" })
}

func (r *Resource[T]) view(c *Call, item *T, only []string) map[string]any {
	out := make(map[string]any, len(r.Fields))
	ask := r.asked(c, item)
	for i := range r.Fields {
		f := &r.Fields[i]
		if !r.shows(c, f, only) || f.Omit != nil && f.Omit(item) || !ask(f.Rule) {
			continue
		}
		out[f.Name] = f.value(c, item)
	}
	return out
}

// shows tells whether a field is part of views at all.
func (r *Resource[T]) shows(c *Call, f *Field[T], only []string) bool {
	return !f.Hidden && c.inRange(f.Since, f.Until) && (len(only) == 0 || slices.Contains(only, f.Name))
}

// asked answers the rules of an item's fields, each once.
func (r *Resource[T]) asked(c *Call, item *T) func(rule string) bool {
	var target policy.Target
	last, allowed := "", true
	return func(rule string) bool {
		if rule == "" {
			return true
		}
		if rule == last {
			return allowed
		}
		if target == nil {
			target = r.target(c, item)
		}
		last, allowed = rule, c.Allow(rule, target)
		return allowed
	}
}

func (f *Field[T]) value(c *Call, item *T) any {
	switch {
	case f.With != nil:
		return f.With(c, item)
	case f.Text != nil:
		return f.Text(item)
	}
	return f.Get(item)
}
