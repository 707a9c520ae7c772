package rest

import (
	"context"
	"slices"

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
}

// Index answers GET /many.
func (r *Resource[T]) Index(c *Call) (Reply, error) {
	body, err := r.ListBody(c)
	if err != nil {
		return Reply{}, err
	}
	return OK(body)
}

// ListBody makes the body of a list with its paging members; more adds conditions.
func (r *Resource[T]) ListBody(c *Call, more ...listing.Term) (map[string]any, error) {
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
	views := make([]map[string]any, 0, len(items))
	only := r.only(c)
	for _, item := range items {
		views = append(views, r.view(c, item, only))
	}
	body := map[string]any{r.Many: views}
	if links := c.service.Dialect.List.Links; links != nil {
		links(c, r.Many, body, r.pageLinks(c, q, page, items))
	}
	return body, nil
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
	var target policy.Target
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Hidden || !c.inRange(f.Since, f.Until) || (len(only) > 0 && !slices.Contains(only, f.Name)) || (f.Omit != nil && f.Omit(item)) {
			continue
		}
		if f.Rule != "" {
			if target == nil {
				target = r.target(c, item)
			}
			if !c.Allow(f.Rule, target) {
				continue
			}
		}
		if f.With != nil {
			out[f.Name] = f.With(c, item)
		} else {
			out[f.Name] = f.Get(item)
		}
	}
	return out
}
