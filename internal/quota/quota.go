package quota

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// Unlimited is the limit that nothing exceeds.
const Unlimited = -1

// Resource is one thing that a service limits.
type Resource struct {
	Name    string
	Default int64
	// Count tells how much of it a project uses, from the service's own rows
	// as the transaction sees them. Nil: a limit that others check (the number
	// of metadata items in one request); its usage is 0.
	Count func(ctx context.Context, q db.Querier, project string) (int64, error)
}

// Quota is the limits of one service. Safe for concurrent use.
type Quota struct {
	service   string
	resources []Resource
	more      func(ctx context.Context, q db.Querier) ([]Resource, error)
	limits    *db.Kept[string, map[string]map[string]int64]
}

// New declares the resources of a service (OpenStack's service type).
func New(service string, resources ...Resource) *Quota {
	return &Quota{service: service, resources: resources, limits: db.Keep[string, map[string]map[string]int64]("quota_limits")}
}

// With is a quota that has further resources, which rows of the service
// declare: one for each volume type.
func (q *Quota) With(more func(ctx context.Context, q db.Querier) ([]Resource, error)) *Quota {
	return &Quota{service: q.service, resources: q.resources, more: more, limits: q.limits}
}

// all are the resources of the moment.
func (q *Quota) all(ctx context.Context, r db.Querier) ([]Resource, error) {
	if q.more == nil {
		return q.resources, nil
	}
	more, err := q.more(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("resources of quotas: %w", err)
	}
	return slices.Concat(q.resources, more), nil
}

// Names lists the resources in the order they were declared.
func (q *Quota) Names() []string {
	out := make([]string, 0, len(q.resources))
	for _, r := range q.resources {
		out = append(out, r.Name)
	}
	return out
}

// Check refuses with OverQuota when a project may not have so much more of the
// resources named in deltas. The fault's Detail holds resource, limit, used and
// requested of the first one exceeded, and "over" with the names of all. An
// unknown resource is a defect of the caller: Internal.
func (q *Quota) Check(ctx context.Context, tx *db.Tx, project string, deltas map[string]int64) error {
	ctx = counting(ctx)
	if err := lock(ctx, tx, q.service, project); err != nil {
		return err
	}
	resources, err := q.all(ctx, tx)
	if err != nil {
		return err
	}
	limits, err := q.overlay(ctx, tx, resources, defaultClass, project)
	if err != nil {
		return err
	}
	for name := range deltas {
		if _, ok := limits[name]; !ok {
			return fault.Internalf("quota of %s has no resource %q", q.service, name)
		}
	}
	var over []excess
	for _, r := range resources {
		more, limit := deltas[r.Name], limits[r.Name]
		if more <= 0 || limit == Unlimited {
			continue
		}
		used, err := r.count(ctx, tx, project)
		if err != nil {
			return err
		}
		if more > limit-used {
			over = append(over, excess{r.Name, limit, used, more})
		}
	}
	return exceeded(over)
}

type countedKey struct{}

// counting gives the counts of one question a place for what they share.
func counting(ctx context.Context) context.Context {
	return context.WithValue(ctx, countedKey{}, map[any]any{})
}

// Once is for resources that are counted by one statement: the first of their
// Counts makes it, and the others of the same Check or Usage find its answer
// under the key, which is of a type of its own.
func Once[T any](ctx context.Context, key any, make func() (T, error)) (T, error) {
	known, ok := ctx.Value(countedKey{}).(map[any]any)
	if v, has := known[key]; has {
		return v.(T), nil
	}
	v, err := make()
	if ok && err == nil {
		known[key] = v
	}
	return v, err
}

func (r Resource) count(ctx context.Context, q db.Querier, project string) (int64, error) {
	if r.Count == nil {
		return 0, nil
	}
	n, err := r.Count(ctx, q, project)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", r.Name, err)
	}
	return n, nil
}

type excess struct {
	name                   string
	limit, used, requested int64
}

// exceeded words it as Nova does; other services word it from Detail.
func exceeded(over []excess) error {
	if len(over) == 0 {
		return nil
	}
	var names, requested, used, limits []string
	for _, o := range over {
		names, requested = append(names, o.name), append(requested, fmt.Sprint(o.requested))
		used, limits = append(used, fmt.Sprint(o.used)), append(limits, fmt.Sprint(o.limit))
	}
	list := func(s []string) string { return strings.Join(s, ", ") }
	f := fault.OverQuotaf("Quota exceeded for %s: Requested %s, but already used %s of %s %s",
		list(names), list(requested), list(used), list(limits), list(names))
	first := over[0]
	f.Detail = map[string]any{"resource": first.name, "limit": first.limit, "used": first.used, "requested": first.requested, "over": names}
	return f
}

// Defaults are the limits of projects without limits of their own.
func (q *Quota) Defaults(ctx context.Context, r db.Querier) (map[string]int64, error) {
	return q.layers(ctx, r, defaultClass)
}

// Limits are the limits of a project.
func (q *Quota) Limits(ctx context.Context, r db.Querier, project string) (map[string]int64, error) {
	return q.layers(ctx, r, defaultClass, project)
}

func (q *Quota) layers(ctx context.Context, r db.Querier, owners ...string) (map[string]int64, error) {
	resources, err := q.all(ctx, r)
	if err != nil {
		return nil, err
	}
	return q.overlay(ctx, r, resources, owners...)
}

func (q *Quota) overlay(ctx context.Context, r db.Querier, resources []Resource, owners ...string) (map[string]int64, error) {
	out := make(map[string]int64, len(resources))
	for _, res := range resources {
		out[res.Name] = res.Default
	}
	set, err := q.limits.Get(r, owners[len(owners)-1], func() (map[string]map[string]int64, error) { return limitsOf(ctx, r, q.service, owners...) })
	if err != nil {
		return nil, err
	}
	for _, owner := range owners {
		for name, limit := range set[owner] {
			if _, ok := out[name]; ok { // a resource that another release had
				out[name] = limit
			}
		}
	}
	return out, nil
}

// Own are the limits that were set for a project itself.
func (q *Quota) Own(ctx context.Context, r db.Querier, project string) (map[string]int64, error) {
	all, err := limitsOf(ctx, r, q.service, project)
	return all[project], err
}

// Owners lists the projects that have limits of their own.
func (q *Quota) Owners(ctx context.Context, r db.Querier) ([]string, error) {
	return ownersOf(ctx, r, q.service)
}

// Usage is what a project has of every resource.
func (q *Quota) Usage(ctx context.Context, r db.Querier, project string) (map[string]int64, error) {
	ctx = counting(ctx)
	resources, err := q.all(ctx, r)
	if err != nil {
		return nil, err
	}
	out := make(map[string]int64, len(resources))
	for _, res := range resources {
		n, err := res.count(ctx, r, project)
		if err != nil {
			return nil, err
		}
		out[res.Name] = n
	}
	return out, nil
}

// Set gives a project limits of its own; resources that are not named keep theirs.
// Whether a limit below the usage is accepted is the service's decision.
func (q *Quota) Set(ctx context.Context, tx *db.Tx, project string, limits map[string]int64) error {
	resources, err := q.all(ctx, tx)
	if err != nil {
		return err
	}
	for name, limit := range limits {
		if !slices.ContainsFunc(resources, func(r Resource) bool { return r.Name == name }) {
			return fault.Invalidf("Quota resource %s is unknown.", name)
		}
		if limit < Unlimited {
			return fault.Invalidf("Quota limit %d for %s must be -1 or greater.", limit, name)
		}
		if err := setLimit(ctx, tx, q.service, project, name, limit); err != nil {
			return err
		}
	}
	return nil
}

// SetDefaults changes the limits of projects without limits of their own.
func (q *Quota) SetDefaults(ctx context.Context, tx *db.Tx, limits map[string]int64) error {
	return q.Set(ctx, tx, defaultClass, limits)
}

// Rename keeps the limits of a resource, of projects and of classes, when it
// gets another name. It belongs in the transaction that changes the name.
func (q *Quota) Rename(ctx context.Context, tx *db.Tx, from, to string) error {
	if from == to {
		return nil
	}
	return renameLimits(ctx, tx, q.service, from, to)
}

// Delete takes a project's own limits away. Doing it twice is fine.
func (q *Quota) Delete(ctx context.Context, tx *db.Tx, project string) error {
	return deleteLimits(ctx, tx, q.service, project)
}
