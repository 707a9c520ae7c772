package records

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hoststate"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/network"
)

// Watchers learn after a commit what has to be rendered again. They may be
// called for nothing and must not block.
type Watchers struct {
	Northbound func(scopes ...string)
	Host       func(host string, revision int64, port string)   // what it should have of a port
	Guests     func(host string, revision int64, server string) // what a guest is told of its addresses
}

// Topic is under which servers tell each other of scopes to be rendered again, by db.Tx.Notify.
const Topic = "northbound"

// Records is the rows of the service. Safe for concurrent use.
type Records struct {
	DB    *db.DB
	Clock clock.Clock
	watch Watchers

	Networks  *Networks
	Subnets   *Subnets
	Ports     *Ports
	Groups    *Groups
	Rules     *Rules
	Routers   *Routers
	Floatings *Floatings

	Shares        *Shares
	Scopes        *Scopes
	Pools         *Pools
	AddressGroups *AddressGroups
	Policies      *Policies
	QoSRules      *QoSRules
	Trunks        *Trunks
	Forwardings   *Forwardings
	Templates     *Templates
	Statefulness  *Statefulness

	ownGroups     *db.Kept[string, string] // the default group, by project
	trunked       *db.Kept[struct{}, bool] // whether there is any trunk
	namesOfGroups *db.Kept[string, string]
	ownPolicies   *db.Kept[string, string]                  // the default QoS policy, by project; empty: none
	newTemplates  *db.Kept[string, []*network.RuleTemplate] // by the column that says which groups begin with them
	statefulBy    *db.Kept[string, bool]                    // what new groups are, by project
	bare          *db.Kept[string, *network.Network]        // networks without their subnets
	onNetwork     *db.Kept[string, []network.Subnet]        // by network
	neighbours    *db.Kept[neighbourhood, []Neighbours]
	subnetsByID   *db.Kept[string, *network.Subnet]
}

// New opens the rows of a database.
func New(d *db.DB, c clock.Clock, w Watchers) *Records {
	r := &Records{DB: d, Clock: c, watch: w}
	r.ownGroups = db.Keep[string, string]("network_default_groups", "DELETE network_groups")
	r.trunked = db.Keep[struct{}, bool]("network_trunks")
	r.namesOfGroups = db.Keep[string, string]("network_groups")
	r.ownPolicies, r.newTemplates = db.Keep[string, string]("network_qos_policies"), db.Keep[string, []*network.RuleTemplate]("network_rule_templates")
	r.Statefulness, r.statefulBy = statefulness(d), db.Keep[string, bool]("network_statefulness")
	r.bare, r.onNetwork = db.Keep[string, *network.Network]("network_networks", "network_shares"), db.Keep[string, []network.Subnet]("network_subnets")
	r.neighbours = db.Keep[neighbourhood, []Neighbours]("network_subnets")
	r.subnetsByID = db.Keep[string, *network.Subnet]("network_subnets")
	r.Networks, r.Subnets, r.Ports = networks(d), subnets(d), ports(d)
	r.Groups, r.Rules, r.Routers, r.Floatings = groups(d), rules(d), routers(d), floatings(d)
	r.Shares, r.Scopes, r.Pools, r.AddressGroups = shares(d), scopes(d), pools(d), addressGroups(d)
	r.Policies, r.QoSRules, r.Trunks, r.Forwardings, r.Templates = policies(d), qosRules(d), trunks(d), forwardings(d), templates(d)
	return r
}

// Now is the time that rows get, in the database's form.
func (r *Records) Now() int64 { return clock.Micros(r.Clock.Now()) }

// Changed has scopes of the northbound rendered again once tx is committed.
func (r *Records) Changed(tx *db.Tx, scopes ...string) {
	tx.AfterCommit(func() { r.watch.Northbound(scopes...) })
	for _, scope := range scopes {
		tx.Notify(Topic, scope)
	}
}

// raise makes a host's section Ports be rendered again, and answers its new revision.
func (r *Records) raise(ctx context.Context, tx *db.Tx, host, port string) (int64, error) {
	revision, err := hoststate.Raise(ctx, tx, host, network.PortsSection)
	tx.AfterCommit(func() { r.watch.Host(host, revision, port) })
	return revision, err
}

// Store reads one kind of row R as the contract's type T.
type Store[R, T any] struct {
	db     *db.DB
	table  *db.Table[R]
	of     func(*R) *T
	row    func(*T) *R                                               // the other way; nil where Records has its own writes
	std    func(*T) *network.Standard                                // goes with row
	fill   func(ctx context.Context, q db.Querier, items []*T) error // loads what is in other tables; may be nil
	pseudo map[string]string                                         // conditions by made-up column, with ? for each value
	seen   func(project any) []db.Cond                               // Visible, in parts that exclude each other; may be nil
}

// The made-up columns of list queries.
const (
	Visible     = "@visible" // for this project
	AllTags     = "@tags"
	AnyTag      = "@tags-any"
	NotAll      = "@not-tags"
	NotAny      = "@not-tags-any"
	OnAddress   = "@address"
	OnSubnet    = "@subnet"
	AddressPart = "@address-part" // a pattern of LIKE
	InGroup     = "@group"
	OfRouter    = "@router"
	// SharedWith and NotSharedWith ask about a project.
	SharedWith    = "@shared"
	NotSharedWith = "@not-shared"
)

// List loads a page of items.
func (s *Store[R, T]) List(ctx context.Context, query listing.Query) ([]*T, error) {
	return s.Load(ctx, s.db, query)
}

// Load is List inside a transaction, or outside of one.
func (s *Store[R, T]) Load(ctx context.Context, q db.Querier, query listing.Query) ([]*T, error) {
	var extra, either []db.Cond
	where := query.Where[:0:0]
	for _, t := range query.Where {
		if t.Column == Visible && s.seen != nil && either == nil {
			either = s.seen(t.Values[0])
			continue
		}
		if sql, ok := s.pseudo[t.Column]; ok {
			extra = append(extra, db.Cond{SQL: sql, Args: t.Values})
			continue
		}
		if cond, ok := shareCondition(t); ok {
			extra = append(extra, cond)
			continue
		}
		if cond, ok := tagCondition(t); ok {
			extra = append(extra, cond)
			continue
		}
		where = append(where, t)
	}
	query.Where = where
	rows, err := s.table.ListEither(ctx, q, query, either, extra...)
	if err != nil {
		return nil, err
	}
	return s.items(ctx, q, rows...)
}

func (s *Store[R, T]) items(ctx context.Context, q db.Querier, rows ...*R) ([]*T, error) {
	items := make([]*T, len(rows))
	for i, r := range rows {
		items[i] = s.of(r)
	}
	if s.fill == nil || len(items) == 0 {
		return items, nil
	}
	return items, s.fill(ctx, q, items)
}

// Where loads all items that meet all terms.
func (s *Store[R, T]) Where(ctx context.Context, q db.Querier, terms ...listing.Term) ([]*T, error) {
	return s.Load(ctx, q, listing.Query{Where: terms})
}

// Get loads one item; NotFound when there is none.
func (s *Store[R, T]) Get(ctx context.Context, id string) (*T, error) { return s.Find(ctx, s.db, id) }

// Find is Get inside a transaction, or outside of one.
func (s *Store[R, T]) Find(ctx context.Context, q db.Querier, id string) (*T, error) {
	row, err := s.table.Get(ctx, q, id)
	if err != nil {
		return nil, err
	}
	items, err := s.items(ctx, q, row)
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// Lock loads one item and keeps others from changing it until tx ends.
func (s *Store[R, T]) Lock(ctx context.Context, tx *db.Tx, id string) (*T, error) {
	row, err := s.table.GetForUpdate(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := expected(ctx, id, row); err != nil {
		return nil, err
	}
	items, err := s.items(ctx, tx, row)
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// LockRow is Lock without what is in other tables.
func (s *Store[R, T]) LockRow(ctx context.Context, tx *db.Tx, id string) (*T, error) {
	row, err := s.table.GetForUpdate(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	return s.of(row), expected(ctx, id, row)
}

type expectation struct {
	id       string
	revision int64
}

type expectationKey struct{}

// Expect returns a context in which an object is changed only if it has a
// revision.
func Expect(ctx context.Context, id string, revision int64) context.Context {
	return context.WithValue(ctx, expectationKey{}, expectation{id, revision})
}

// expected refuses with PreconditionFailed a row of another revision than the
// request names.
func expected(ctx context.Context, id string, row any) error {
	want, ok := ctx.Value(expectationKey{}).(expectation)
	if !ok || want.id != id {
		return nil
	}
	if r, ok := row.(interface{ Standard() network.Standard }); ok && r.Standard().Revision != want.revision {
		return fault.New(fault.PreconditionFailed, "Constrained to %d, but current revision is %d", want.revision, r.Standard().Revision).With("RevisionNumberConstraintFailed")
	}
	return nil
}

// Count tells how many rows meet all terms; made-up columns are not understood.
func (s *Store[R, T]) Count(ctx context.Context, q db.Querier, terms ...listing.Term) (int64, error) {
	return s.table.Count(ctx, q, terms...)
}

// Insert adds an item as it is.
func (s *Store[R, T]) Insert(ctx context.Context, tx *db.Tx, item *T) error {
	return s.table.Insert(ctx, tx, s.row(item))
}

// Update writes an item that Lock loaded, with a new revision.
func (s *Store[R, T]) Update(ctx context.Context, tx *db.Tx, r *Records, item *T) error {
	r.Touch(s.std(item))
	return s.table.Update(ctx, tx, s.row(item))
}

// Delete removes an item with its tags, and what says with whom it is shared.
func (s *Store[R, T]) Delete(ctx context.Context, tx *db.Tx, id string) error {
	if err := dropTags(ctx, tx, id); err != nil {
		return err
	}
	if err := dropShares(ctx, tx, id); err != nil {
		return err
	}
	return s.table.Delete(ctx, tx, id)
}

// Is is the condition that a column has a value.
func Is(column string, value any) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

// OneOf is the condition that a column has one of some values.
func OneOf(column string, values []string) listing.Term {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return listing.Term{Column: column, Op: listing.In, Values: out}
}

// standard is the columns that all resources have.
type standard struct {
	ID          string            `db:"id"`
	ProjectID   string            `db:"project_id"`
	Name        string            `db:"name"`
	Description string            `db:"description"`
	Revision    int64             `db:"revision"`
	CreatedAt   int64             `db:"created_at"`
	UpdatedAt   int64             `db:"updated_at"`
	Tags        db.JSON[[]string] `db:"tags"`
}

func (s standard) Standard() network.Standard {
	return network.Standard{ID: s.ID, ProjectID: s.ProjectID, Name: s.Name, Description: s.Description, Revision: s.Revision,
		CreatedAt: clock.FromMicros(s.CreatedAt), UpdatedAt: clock.FromMicros(s.UpdatedAt), Tags: s.Tags.V}
}

func standardOf(s network.Standard) standard {
	tags := s.Tags
	if tags == nil {
		tags = []string{}
	}
	return standard{s.ID, s.ProjectID, s.Name, s.Description, s.Revision, clock.Micros(s.CreatedAt), clock.Micros(s.UpdatedAt), db.J(tags)}
}

// Begin stamps a new resource.
func (r *Records) Begin(s *network.Standard) {
	now := r.Clock.Now()
	s.CreatedAt, s.UpdatedAt = now, now
}

// Touch stamps a changed resource.
func (r *Records) Touch(s *network.Standard) {
	s.Revision++
	s.UpdatedAt = r.Clock.Now()
}

func missingAs(err error, f *fault.Fault) error {
	if fault.Is(err, fault.NotFound) {
		return f
	}
	return err
}
