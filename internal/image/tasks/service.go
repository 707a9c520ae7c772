package tasks

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
)

// keep is how long a task can be asked for after it ended.
const keep = 48 * time.Hour

// Tasks is the feature. Safe for concurrent use.
type Tasks struct {
	db     *db.DB
	clock  clock.Clock
	images Images
}

// New makes the feature.
func New(d *db.DB, c clock.Clock, images Images) *Tasks { return &Tasks{d, c, images} }

// Begin records an import that starts now.
func (t *Tasks) Begin(ctx context.Context, i *image.Image, input map[string]any) (string, error) {
	minted := id.New()
	return minted, t.db.Write(ctx, func(tx *db.Tx) error { return t.BeginIn(ctx, tx, minted, i, input) })
}

// BeginIn is Begin in the caller's transaction, under an id that it has minted.
func (t *Tasks) BeginIn(ctx context.Context, tx *db.Tx, id string, i *image.Image, input map[string]any) error {
	now, actor := clock.Micros(t.clock.Now()), event.ActorOf(ctx)
	return rows.Insert(ctx, tx, &row{ID: id, ImageID: i.ID, Owner: actor.ProjectID, UserID: actor.UserID, RequestID: actor.RequestID,
		Type: "api_image_import", Status: "processing", Input: db.J(input), CreatedAt: now, UpdatedAt: now})
}

// End records how it ended; failure is empty for success.
func (t *Tasks) End(ctx context.Context, id, failure string) error {
	return t.db.Write(ctx, func(tx *db.Tx) error { return t.EndIn(ctx, tx, id, failure) })
}

// EndIn is End in the caller's transaction.
func (t *Tasks) EndIn(ctx context.Context, tx *db.Tx, id, failure string) error {
	status := "success"
	if failure != "" {
		status = "failure"
	}
	return rows.Set(ctx, tx, id, map[string]any{"status": status, "message": failure, "updated_at": clock.Micros(t.clock.Now())})
}

// Expire forgets tasks that are older than two days.
func (t *Tasks) Expire(ctx context.Context) error {
	before := clock.Micros(t.clock.Now().Add(-keep))
	return t.db.Write(ctx, func(tx *db.Tx) error { return expire(ctx, tx, before) })
}
