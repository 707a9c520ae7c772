// Package usages is the API of what projects use.
package usages

import (
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

// Feature serves usages.
type Feature struct {
	store *records.Store
	clock clock.Clock
}

// New makes the feature.
func New(s *records.Store, c clock.Clock) *Feature { return &Feature{s, c} }

// Rules are the policy rules of the routes.
func Rules() []policy.Rule {
	return []policy.Rule{{Name: "placement:usages", Check: policy.AdminOrReaderOrService, Scopes: []string{policy.ScopeProject}, Description: "List what a project uses."}}
}

// Routes are the feature's routes.
func (f *Feature) Routes() []rest.Route {
	return []rest.Route{{Method: "GET", Path: "/usages", Rule: "placement:usages", Object: true, Since: wire.Usages, Handle: f.list}}
}

func (f *Feature) list(c *rest.Call) (rest.Reply, error) {
	if err := wire.Accepts(c.Header); err != nil {
		return rest.Reply{}, err
	}
	q := c.Values()
	project, _ := wire.Last(q, "project_id")
	if err := c.Authorize(policy.Target{"project_id": project}); err != nil {
		return rest.Reply{}, err
	}
	if err := check(c); err != nil {
		return rest.Reply{}, err
	}
	user, _ := wire.Last(q, "user_id")
	found, err := f.store.Usages(c.Context(), project, user)
	if err != nil {
		return rest.Reply{}, err
	}
	var body any
	if c.At(wire.ConsumerTypes) {
		kind, _ := wire.Last(q, "consumer_type")
		body = byType(found, kind)
	} else {
		body = sum(found).Used
	}
	return rest.Reply{Body: map[string]any{"usages": body}, Header: wire.Fresh(c.Version, time.Time{}, f.clock.Now())}, nil
}

func check(c *rest.Call) error {
	q, known := c.Values(), []string{"project_id", "user_id"}
	if c.At(wire.ConsumerTypes) {
		known = append(known, "consumer_type")
	}
	if err := wire.Known(q, wire.OneOf(known...)); err != nil {
		return err
	}
	if !q.Has("project_id") {
		return fault.Invalidf("Invalid query string parameters: 'project_id' is a required property")
	}
	for _, name := range known {
		if err := wire.Length(q, name); err != nil {
			return err
		}
	}
	if kind, ok := wire.Last(q, "consumer_type"); ok && !wire.TypeQueryForm.MatchString(kind) {
		return fault.Invalidf("Invalid query string parameters: '%s' does not match '%s'", kind, wire.TypeQueryForm)
	}
	return nil
}

func sum(found map[string]*records.Usage) *records.Usage {
	all := &records.Usage{Used: placement.Resources{}}
	for _, u := range found {
		all.Consumers += u.Consumers
		for class, n := range u.Used {
			all.Used[class] += n
		}
	}
	return all
}

// byType groups as asked: all in one, only those without a type, one type, or
// each type by itself.
func byType(found map[string]*records.Usage, kind string) map[string]any {
	out := map[string]any{}
	add := func(name string, u *records.Usage) {
		if u == nil || len(u.Used) == 0 {
			return
		}
		one := map[string]int64{"consumer_count": u.Consumers}
		for class, n := range u.Used {
			one[class] = n
		}
		out[name] = one
	}
	switch kind {
	case "all":
		add("all", sum(found))
	case "unknown":
		add("unknown", found[""])
	case "":
		for name, u := range found {
			if name == "" {
				name = "unknown"
			}
			add(name, u)
		}
	default:
		add(kind, found[kind])
	}
	return out
}
