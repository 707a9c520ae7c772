package images

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

const (
	defaultPage = 25
	maxPage     = 1000
)

var (
	sortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}
	// listed may be filtered by one value or "in:a,b".
	listed = []string{"name", "id", "status", "container_format", "disk_format"}
	// exact may be filtered by one value.
	exact = map[string]string{"owner": "owner", "checksum": "checksum", "os_hash_value": "hash_value"}
	// numbers may be filtered by one value, and as NAME_min and NAME_max.
	numbers = []string{"size", "virtual_size", "min_disk", "min_ram"}
)

// parseQuery checks the parameters of a list request.
func parseQuery(v url.Values) (selection, error) {
	s := selection{member: "accepted"}
	s.Limit, s.Marker = defaultPage, v.Get("marker")
	if v.Has("limit") {
		n, err := strconv.Atoi(v.Get("limit"))
		if err != nil {
			return s, fault.Invalidf("limit param must be an integer")
		}
		if n < 0 {
			return s, fault.Invalidf("limit param must be positive")
		}
		s.Limit = min(n, maxPage)
	}
	if err := s.sorting(v); err != nil {
		return s, err
	}
	hidden := false
	for name := range v {
		if name == "os_hidden" {
			hidden = true
		}
		if err := s.filter(name, v[name]); err != nil {
			return s, err
		}
	}
	if !hidden {
		s.Query = s.And("hidden", listing.Eq, false)
	}
	return s, nil
}

// sorting reads both ways to say an order: "sort=name:asc,size" and pairs of
// sort_key and sort_dir. Downwards is the default.
func (s *selection) sorting(v url.Values) error {
	keys, dirs := v["sort_key"], v["sort_dir"]
	if v.Has("sort") {
		if len(keys)+len(dirs) > 0 {
			return fault.Invalidf("Old and new sorting syntax cannot be combined")
		}
		for part := range strings.SplitSeq(strings.TrimSpace(v.Get("sort")), ",") {
			key, dir, _ := strings.Cut(part, ":")
			if dir == "" {
				dir = "desc"
			}
			keys, dirs = append(keys, key), append(dirs, dir)
		}
	}
	if len(keys) == 0 {
		keys = []string{"created_at"}
	}
	if len(dirs) > 1 && len(dirs) != len(keys) {
		return fault.Invalidf("Number of sort dirs does not match the number of sort keys")
	}
	for i, key := range keys {
		key = strings.TrimSpace(key)
		if !slices.Contains(sortKeys, key) {
			return fault.Invalidf("Invalid sort key: %s. It must be one of the following: %s.", clip(key), strings.Join(sortKeys, ", "))
		}
		dir := "desc"
		if len(dirs) == 1 {
			dir = dirs[0]
		} else if len(dirs) > 1 {
			dir = dirs[i]
		}
		dir = strings.TrimSpace(dir)
		if dir != "asc" && dir != "desc" {
			return fault.Invalidf("Invalid sort direction: %s", clip(dir))
		}
		s.Order = append(s.Order, listing.Order{Column: key, Desc: dir == "desc"})
	}
	return nil
}

// filter takes one parameter in. What it does not know is an additional property.
func (s *selection) filter(name string, values []string) error {
	value := values[len(values)-1]
	column, isExact := exact[name]
	bound, lower := strings.CutSuffix(name, "_min")
	if !lower {
		bound, _ = strings.CutSuffix(name, "_max")
	}
	switch {
	case slices.Contains([]string{"limit", "marker", "sort", "sort_key", "sort_dir"}, name):
		return nil
	case name == "tag":
		for _, t := range values {
			s.tags = append(s.tags, strings.TrimSpace(t))
		}
		return nil
	case name == "member_status":
		s.member = value
		return oneOf("Invalid status: %s", value, "pending", "accepted", "rejected", "all")
	case name == "visibility":
		s.visibility = value
		return oneOf("Invalid visibility value: %s", value, "community", "public", "private", "shared", "all", "")
	case name == "changes-since":
		return fault.Invalidf(`The "changes-since" filter is no longer available on v2.`)
	case name == "os_hidden" || name == "protected":
		return s.switched(name, strings.ToLower(value))
	case name == "created_at" || name == "updated_at":
		return s.moment(name, value)
	case slices.Contains(listed, name):
		return s.anyOf(name, value)
	case isExact:
		s.Query = s.And(column, listing.Eq, value)
		return nil
	case slices.Contains(numbers, name):
		return s.bound(name, listing.Eq, value)
	case bound != name && slices.Contains(numbers, bound):
		if lower {
			return s.bound(bound, listing.MoreEq, value)
		}
		return s.bound(bound, listing.LessEq, value)
	}
	s.properties = append(s.properties, pair{name, value})
	return nil
}

func oneOf(say, value string, among ...string) error {
	if slices.Contains(among, value) {
		return nil
	}
	return fault.Invalidf(say, clip(value))
}

func (s *selection) switched(name, value string) error {
	if value != "true" && value != "false" {
		return fault.Invalidf("Invalid value '%s' for '%s' filter. Valid values are 'true' or 'false'.", clip(value), name)
	}
	s.Query = s.And(strings.TrimPrefix(name, "os_"), listing.Eq, value == "true")
	return nil
}

func (s *selection) bound(column string, op listing.Op, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return fault.Invalidf("Unable to filter on a range with a non-numeric value.")
	}
	s.Query = s.And(column, op, n)
	return nil
}

// anyOf reads "value", "eq:value" or `in:a,"b,c"`.
func (s *selection) anyOf(column, text string) error {
	op, rest, found := strings.Cut(text, ":")
	switch {
	case !found:
		s.Query = s.And(column, listing.Eq, text)
	case op == "eq":
		s.Query = s.And(column, listing.Eq, rest)
	case op == "in":
		values, err := splitQuoted(rest)
		if err != nil {
			return err
		}
		s.Query = s.And(column, listing.In, values...)
	default:
		return fault.Invalidf("Unable to filter by unknown operator '%s'.", clip(op))
	}
	return nil
}

// splitQuoted splits at commas; a value in double quotes may hold commas.
func splitQuoted(text string) ([]any, error) {
	bad := fault.Invalidf("Invalid filter value %s. The quote is not closed or is not followed by a comma.", clip(text))
	var out []any
	for {
		if quoted, ok := strings.CutPrefix(text, `"`); ok {
			value, rest, closed := strings.Cut(quoted, `"`)
			if !closed || (rest != "" && rest[0] != ',') {
				return nil, bad
			}
			out = append(out, value)
			if rest == "" {
				return out, nil
			}
			text = rest[1:]
			continue
		}
		value, rest, more := strings.Cut(text, ",")
		if strings.Contains(value, `"`) {
			return nil, bad
		}
		out = append(out, value)
		if !more {
			return out, nil
		}
		text = rest
	}
}

// moment reads "2026-01-02T03:04:05Z" or "gt:2026-…". The API's times have
// whole seconds, so a time stands for its second.
func (s *selection) moment(column, text string) error {
	op := "eq"
	at, err := parseTime(text)
	if err != nil {
		var rest string
		op, rest, _ = strings.Cut(text, ":")
		if at, err = parseTime(rest); err != nil {
			return fault.Invalidf(`Bad "%s" query filter format. Use ISO 8601 DateTime notation.`, column)
		}
	}
	from, to := clock.Micros(at), clock.Micros(at.Add(time.Second))
	switch op {
	case "eq":
		s.Query = s.And(column, listing.MoreEq, from).And(column, listing.Less, to)
	case "neq":
		s.besides = append(s.besides, span{column, from, to})
	case "gt":
		s.Query = s.And(column, listing.MoreEq, to)
	case "gte":
		s.Query = s.And(column, listing.MoreEq, from)
	case "lt":
		s.Query = s.And(column, listing.Less, from)
	case "lte":
		s.Query = s.And(column, listing.Less, to)
	default:
		return fault.Invalidf("Unable to filter by unknown operator '%s'.", clip(op))
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	var err error
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02"} {
		var t time.Time
		if t, err = time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, err
}
