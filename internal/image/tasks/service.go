package tasks

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/image"
)

// keep is how long a task can be asked for after it ended.
const keep = 48 * time.Hour

// The states of tasks. One that is over stays as it is.
const (
	pending    = "pending"
	processing = "processing"
	success    = "success"
	failed     = "failure"
)

// Tasks is the feature. Safe for concurrent use.
type Tasks struct {
	db     *db.DB
	clock  clock.Clock
	images Images
}

// New makes the feature.
func New(d *db.DB, c clock.Clock, images Images) *Tasks { return &Tasks{d, c, images} }

// Begin records a task that is at work now.
func (t *Tasks) Begin(ctx context.Context, one image.Task) error {
	return t.db.Write(ctx, func(tx *db.Tx) error { return t.BeginIn(ctx, tx, one) })
}

// BeginIn is Begin in the caller's transaction; the task may wait for its work.
func (t *Tasks) BeginIn(ctx context.Context, tx *db.Tx, one image.Task) error {
	now, actor, status := clock.Micros(t.clock.Now()), event.ActorOf(ctx), processing
	if one.Waiting {
		status = pending
	}
	return rows.Insert(ctx, tx, &row{ID: one.ID, ImageID: one.Image, Owner: actor.ProjectID, UserID: actor.UserID, RequestID: actor.RequestID,
		Type: one.Kind, Status: status, Input: db.J(one.Input), CreatedAt: now, UpdatedAt: now})
}

// WorkIn records that a task that waited is at work.
func (t *Tasks) WorkIn(ctx context.Context, tx *db.Tx, id string) error {
	return rows.Set(ctx, tx, id, map[string]any{"status": processing, "updated_at": clock.Micros(t.clock.Now())})
}

// End records how a task ended, and with which image; failure is empty for success.
func (t *Tasks) End(ctx context.Context, id, image, failure string) error {
	return t.db.Write(ctx, func(tx *db.Tx) error { return t.EndIn(ctx, tx, id, image, failure) })
}

// EndIn is End in the caller's transaction.
func (t *Tasks) EndIn(ctx context.Context, tx *db.Tx, id, image, failure string) error {
	set := map[string]any{"status": success, "result": db.J(map[string]any{"image_id": image}), "message": failure, "updated_at": clock.Micros(t.clock.Now())}
	if failure != "" {
		set["status"], set["result"] = failed, db.J[map[string]any](nil)
	}
	return rows.Set(ctx, tx, id, set)
}

// Body is a task as the API shows it.
func (t *Tasks) Body(ctx context.Context, id string) (map[string]any, error) {
	r, err := rows.Get(ctx, t.db, id)
	if err != nil {
		return nil, err
	}
	return view(r), nil
}

// Expire forgets tasks that are older than two days.
func (t *Tasks) Expire(ctx context.Context) error {
	before := clock.Micros(t.clock.Now().Add(-keep))
	return t.db.Write(ctx, func(tx *db.Tx) error { return expire(ctx, tx, before) })
}
