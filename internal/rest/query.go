package rest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/policy"
)

// Kind is how a filter's text becomes a value.
type Kind uint8

// The kinds of filter values.
const (
	Text   Kind = iota
	Flag        // boolean
	Number      // integer
	Moment      // time, ISO 8601
)

func (k Kind) read(name, text string) (any, error) {
	switch k {
	case Flag:
		if v, ok := ParseBool(text); ok {
			return v, nil
		}
		return nil, fault.Invalidf("Invalid value for %s: %s is not a boolean", name, clip(text))
	case Number:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fault.Invalidf("Invalid value for %s: %s is not an integer", name, clip(text))
		}
		return n, nil
	case Moment:
		return ParseTime(name, text)
	}
	return text, nil
}

// ParseTime reads the time formats that OpenStack's list filters take, as the
// database's microseconds.
func ParseTime(name, text string) (int64, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02T15:04:05", "2006-01-02 15:04:05.999999", "2006-01-02"} {
		if t, err := time.Parse(layout, strings.Replace(text, " ", "T", strings.Count(layout, "T"))); err == nil {
			return clock.Micros(t), nil
		}
	}
	return 0, fault.Invalidf("Invalid value for %s: %s is not a time", name, clip(text))
}

// Page is what a request said about paging.
type Page struct {
	Asked bool // limit was given
	Limit int
}

// PageLinks are the queries of the adjoining pages, nil where there is none.
type PageLinks struct{ Next, Previous url.Values }

// reserved are the parameters that are not filters.
var reserved = map[string]bool{"limit": true, "marker": true, "sort": true, "sort_key": true, "sort_dir": true, "fields": true,
	"page_reverse": true, "offset": true}

// Query reads the request's filters, order and page. Whatever is not reserved
// must be a declared field or filter; a field hidden by version or policy can
// neither be filtered nor sorted by.
func (r *Resource[T]) Query(c *Call) (listing.Query, Page, error) {
	style := &c.service.Dialect.List
	if c.trace != nil {
		r.tell(c.trace)
	}
	q := listing.Query{Order: append([]listing.Order(nil), r.Order...)}
	page, err := r.page(c, &q, style)
	if err != nil {
		return q, page, err
	}
	if err := r.sorts(c, &q, style); err != nil {
		return q, page, err
	}
	if err := r.scope(c, &q); err != nil {
		return q, page, err
	}
	for _, name := range sortedKeys(c.Values()) {
		if reserved[name] || slices.Contains(r.AllKeys, name) {
			continue
		}
		terms, known, err := r.filter(c, name, c.Values()[name], style)
		if err != nil {
			return q, page, err
		}
		if !known && style.UnknownFilter != nil {
			if err := style.UnknownFilter(name); err != nil {
				return q, page, err
			}
		}
		q.Where = append(q.Where, terms...)
	}
	return q, page, nil
}

func (r *Resource[T]) page(c *Call, q *listing.Query, style *ListStyle) (Page, error) {
	var page Page
	most := r.MaxLimit
	if most == 0 {
		most = style.MaxLimit
	}
	q.Limit, q.Marker = most, c.Values().Get("marker")
	if style.DefaultLimit > 0 {
		q.Limit = style.DefaultLimit
	}
	if back, ok := ParseBool(c.Values().Get("page_reverse")); ok && style.SelectFields {
		q.Back = back
	}
	if text := c.Values().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return page, fault.Invalidf("Invalid input for query parameters limit. Value: %s. limit must be a non-negative integer", clip(text))
		}
		page = Page{Asked: true, Limit: n}
		if q.Limit = n; most > 0 {
			q.Limit = min(n, most)
		}
	}
	if q.Marker != "" && (r.Target != nil || r.TargetFor != nil) { // a marker the caller may not see does not exist
		if item, err := r.Store.Get(c.Context(), q.Marker); err != nil || !c.Allow(r.Show, r.target(c, item)) {
			return page, fault.Invalidf("marker [%s] not found", clip(q.Marker)).With("MarkerNotFound")
		}
	}
	return page, nil
}

func (r *Resource[T]) sorts(c *Call, q *listing.Query, style *ListStyle) error {
	keys, dirs := c.Values()["sort_key"], c.Values()["sort_dir"]
	if text := c.Values().Get("sort"); style.SortParam && text != "" {
		if len(keys)+len(dirs) > 0 {
			return fault.Invalidf("The 'sort_key' and 'sort_dir' parameters cannot be used with 'sort'.")
		}
		for part := range strings.SplitSeq(text, ",") {
			key, dir, _ := strings.Cut(part, ":")
			keys, dirs = append(keys, strings.TrimSpace(key)), append(dirs, strings.TrimSpace(dir))
		}
	}
	if len(keys) > 0 {
		q.Order = nil
	}
	for i, key := range keys {
		f := r.field(c, key)
		if f == nil || f.Column == "" {
			return fault.Invalidf("Sort key supplied is invalid: %s", clip(key))
		}
		o := listing.Order{Column: f.Column}
		dir := ""
		if i < len(dirs) {
			dir = strings.ToLower(dirs[i])
		} else if len(dirs) == 1 {
			dir = strings.ToLower(dirs[0])
		} else if style.DefaultLimit > 0 || style.SortParam {
			dir = "desc"
		}
		switch dir {
		case "desc":
			o.Desc = true
		case "asc", "":
			o.Desc = dir == "" && style.SortParam
		default:
			return fault.Invalidf("Unknown sort direction, must be 'desc' or 'asc'.")
		}
		q.Order = append(q.Order, o)
	}
	return nil
}

func (r *Resource[T]) field(c *Call, name string) *Field[T] {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.Name == name && c.inRange(f.Since, f.Until) && (f.Rule == "" || c.Allow(f.Rule, c.Caller())) {
			return f
		}
	}
	return nil
}

// scope confines a list to what the caller may see.
func (r *Resource[T]) scope(c *Call, q *listing.Query) error {
	if r.All == "" {
		return nil
	}
	asked := len(r.AllKeys) == 0
	for _, key := range r.AllKeys {
		for _, text := range c.Values()[key] {
			v, ok := ParseBool(text)
			if !ok && text != "" {
				return fault.Invalidf("Invalid value for %s: %s is not a boolean", key, clip(text))
			}
			asked = asked || v || text == ""
		}
	}
	if asked && c.Allow(r.All, policyAny) {
		return nil
	}
	if asked && len(r.AllKeys) > 0 {
		return fault.Forbiddenf("Policy doesn't allow %s to be performed.", r.All).With("Forbidden")
	}
	if r.Visible != nil {
		q.Where = append(q.Where, r.Visible(c)...)
	} else if r.Owner != "" {
		*q = q.And(r.Owner, listing.Eq, c.Auth.ProjectID)
	}
	return nil
}

func (r *Resource[T]) filter(c *Call, name string, values []string, style *ListStyle) ([]listing.Term, bool, error) {
	for _, f := range r.Filters {
		if f.Name == name {
			if f.Rule != "" && !c.Allow(f.Rule, c.Caller()) {
				return nil, true, nil
			}
			terms, err := f.Terms(c, values)
			return terms, true, err
		}
	}
	f := r.field(c, name)
	if f == nil || f.Column == "" || f.NoFilter {
		return nil, false, nil
	}
	read := make([]any, 0, len(values))
	for _, text := range values {
		v, err := f.Kind.read(name, text)
		if err != nil {
			return nil, true, err
		}
		read = append(read, v)
	}
	if len(read) > 1 && style.RepeatIsIn {
		return []listing.Term{{Column: f.Column, Op: listing.In, Values: read}}, true, nil
	}
	return []listing.Term{{Column: f.Column, Op: listing.Eq, Values: read[len(read)-1:]}}, true, nil
}

func (r *Resource[T]) pageLinks(c *Call, q listing.Query, page Page, items []*T) PageLinks {
	var links PageLinks
	if len(items) == 0 || q.Limit == 0 {
		return links
	}
	at := func(item *T, back bool) url.Values {
		v := url.Values{}
		for key, values := range c.Values() {
			v[key] = values
		}
		v.Set("marker", r.ID(item))
		v.Del("page_reverse")
		if back {
			v.Set("page_reverse", "True")
		}
		return v
	}
	full := len(items) == q.Limit
	if full || q.Back {
		links.Next = at(items[len(items)-1], false)
	}
	if q.Marker != "" && (!q.Back || full) {
		links.Previous = at(items[0], true)
	}
	return links
}

// tell names what a list can be filtered and sorted by.
func (r *Resource[T]) tell(t *Trace) {
	for i := range r.Fields {
		if r.Fields[i].Column != "" {
			t.Params = append(t.Params, r.Fields[i].Name)
		}
	}
	for i := range r.Filters {
		t.Params = append(t.Params, r.Filters[i].Name)
	}
}

// policyAny is the target of a question that is about no object: "may list all".
var policyAny = policy.Target{}
