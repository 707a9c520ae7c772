package groups

import (
	"context"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// Members knows the servers of groups.
type Members interface {
	// InGroups lists them, oldest first, by the group's id.
	InGroups(ctx context.Context, groups []string) (map[string][]string, error)
	// LeaveGroup takes the members out of a group that is deleted.
	LeaveGroup(ctx context.Context, tx *db.Tx, group string) error
}

// Groups is the service behind the API. Safe for concurrent use.
type Groups struct {
	store   store
	clock   clock.Clock
	quota   *quota.Quota
	members Members
}

// New makes the service.
func New(d *db.DB, c clock.Clock, q *quota.Quota, m Members) *Groups {
	return &Groups{store{d}, c, q, m}
}

// Count tells how many groups a project has, for its quota.
func Count(ctx context.Context, q db.Querier, project string) (int64, error) {
	return rows.Count(ctx, q, listing.Term{Column: "project_id", Values: []any{project}})
}

// Get loads a group, whoever asks.
func (s *Groups) Get(ctx context.Context, groupID string) (*Group, error) {
	return s.store.Get(ctx, groupID)
}

// Lock loads a group, whoever asks, and holds it until the transaction ends.
func (s *Groups) Lock(ctx context.Context, tx *db.Tx, groupID string) (*Group, error) {
	return rows.GetForUpdate(ctx, tx, groupID)
}

func (s *Groups) create(ctx context.Context, g *Group, record event.Record) error {
	g.ID, g.CreatedAt = id.New(), clock.Micros(s.clock.Now())
	record.Object = g.ID
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.quota.Check(ctx, tx, g.ProjectID, map[string]int64{"server_groups": 1}); err != nil {
			return err
		}
		if err := rows.Insert(ctx, tx, g); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Groups) remove(ctx context.Context, groupID string, record event.Record) error {
	return s.store.db.Write(ctx, func(tx *db.Tx) error {
		if err := rows.Delete(ctx, tx, groupID); err != nil {
			return err
		}
		if err := s.members.LeaveGroup(ctx, tx, groupID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
