package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"reflect"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/rest"
)

// Body reads {"one": {…}} into a struct by rest's strict rules and gives the
// members the struct does not declare. Server-owned members are dropped.
func Body(c *rest.Call, one string, into any) (extra map[string]any, err error) {
	members, err := Envelope(c, one)
	if err != nil {
		return nil, err
	}
	known := declared(reflect.TypeOf(into).Elem())
	typed := map[string]json.RawMessage{}
	extra = map[string]any{}
	for name, raw := range members {
		switch {
		case known[name]:
			typed[name] = raw
		case name == "id" || name == "links":
		default:
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				return nil, fault.Invalidf("Malformed request body: not valid JSON")
			}
			extra[name] = v
		}
	}
	text, err := json.Marshal(typed)
	if err != nil {
		return nil, fault.Internalf("encode body again: %w", err)
	}
	return extra, rest.DecodeValue(text, into)
}

// Strict is Body for resources whose attributes are all declared.
func Strict(c *rest.Call, one string, into any) error {
	extra, err := Body(c, one, into)
	if err != nil {
		return err
	}
	for name := range extra {
		return fault.Invalidf("Additional properties are not allowed ('%s' was unexpected)", name)
	}
	return nil
}

// Envelope gives the members of {"one": {…}}. On routes with an {id} that
// change an object, another id in the body is refused.
func Envelope(c *rest.Call, one string) (map[string]json.RawMessage, error) {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(c.Payload(), &outer); err != nil || outer == nil {
		return nil, fault.Invalidf("Malformed request body: expecting a JSON object")
	}
	raw, ok := outer[one]
	if !ok {
		return nil, fault.Invalidf("'%s' is a required property", one)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, fault.Invalidf("Invalid input for field '%s': it is not of type 'object'", one)
	}
	if id := c.Var("id"); id != "" {
		if raw, ok := members["id"]; ok && !bytes.Equal(raw, mustJSON(id)) {
			return nil, fault.Invalidf("Cannot change %s ID", one)
		}
	}
	return members, nil
}

func mustJSON(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // strings always encode
		return nil
	}
	return b
}

func declared(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			out[name] = true
		}
	}
	return out
}

// Merge lays the extra attributes of an update over the stored ones; null removes.
func Merge(old, change map[string]any) map[string]any {
	out := maps.Clone(old)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range change {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// With adds extra attributes to a view without covering declared ones.
func With(view, extra map[string]any) map[string]any {
	for k, v := range extra {
		if _, taken := view[k]; !taken {
			view[k] = v
		}
	}
	return view
}

// Text declares the filter NAME and its operators: NAME__contains and so on.
// All operators are without regard to case, as upstream's are on its usual database.
func Text(name, column string) []rest.Filter {
	one := func(suffix string, op listing.Op, value func(string) string) rest.Filter {
		return rest.Filter{Name: name + suffix, Terms: func(_ *rest.Call, values []string) ([]listing.Term, error) {
			return []listing.Term{{Column: column, Op: op, Values: []any{value(values[len(values)-1])}}}, nil
		}}
	}
	same := func(s string) string { return s }
	begins := func(s string) string { return "^" + quoteRegexp(s) }
	ends := func(s string) string { return quoteRegexp(s) + "$" }
	return []rest.Filter{
		one("", listing.Eq, same),
		one("__contains", listing.Matches, quoteRegexp),
		one("__icontains", listing.Contains, same),
		one("__startswith", listing.Matches, begins),
		one("__istartswith", listing.Matches, begins),
		one("__endswith", listing.Matches, ends),
		one("__iendswith", listing.Matches, ends),
	}
}

func quoteRegexp(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Flag declares a filter that is false for "0" and "false" and true for
// anything else, as upstream reads it.
func Flag(name, column string) rest.Filter {
	return rest.Filter{Name: name, Terms: func(_ *rest.Call, values []string) ([]listing.Term, error) {
		return []listing.Term{{Column: column, Op: listing.Eq, Values: []any{Truth(values[len(values)-1])}}}, nil
	}}
}

// Truth is upstream's reading of a flag in a query.
func Truth(text string) bool {
	switch strings.ToLower(text) {
	case "0", "false", "f", "no", "n", "off":
		return false
	}
	return true
}

// List answers GET of a collection. Keystone's views carry attributes that no
// field table can name, so it has a view function instead.
type List[T any] struct {
	Many    string
	Filters []rest.Filter
	Load    func(ctx context.Context, q listing.Query) ([]*T, error)
	ID      func(*T) string
	View    func(*rest.Call, *T) map[string]any
}

// Reply loads and shows the list; more adds conditions.
func (l List[T]) Reply(c *rest.Call, more ...listing.Term) (rest.Reply, error) {
	r := rest.Resource[T]{Filters: l.Filters}
	q, page, err := r.Query(c)
	if err != nil {
		return rest.Reply{}, err
	}
	q.Where = append(q.Where, more...)
	items, err := l.Load(c.Context(), q)
	if err != nil {
		return rest.Reply{}, err
	}
	views := make([]map[string]any, 0, len(items))
	for _, item := range items {
		views = append(views, l.View(c, item))
	}
	links := map[string]any{"self": selfURL(c), "previous": nil, "next": nil}
	if page.Asked && page.Limit > 0 && len(items) == page.Limit {
		next := maps.Clone(map[string][]string(c.Values()))
		next["marker"] = []string{l.ID(items[len(items)-1])}
		links["next"] = c.Root() + c.URL.Path + "?" + url.Values(next).Encode()
	}
	return rest.OK(map[string]any{l.Many: views, "links": links})
}
