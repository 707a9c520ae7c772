package images

import (
	"context"
	"log/slog"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/quota"
)

// The resources that projects have limits for, with upstream's names.
const (
	QuotaSize      = "image_size_total"      // MiB in stores
	QuotaStaged    = "image_stage_total"     // MiB waiting for imports
	QuotaCount     = "image_count_total"     // records
	QuotaTransfers = "image_count_uploading" // transfers at once
	endlessTotal   = int64(quota.Unlimited)  // the default of all four, as upstream's is without unified limits
)

// Quota declares the service's limits.
func Quota() *quota.Quota {
	return quota.New("image",
		quota.Resource{Name: QuotaSize, Default: endlessTotal, Count: SumMiB},
		quota.Resource{Name: QuotaStaged, Default: endlessTotal, Count: SumStagedMiB},
		quota.Resource{Name: QuotaCount, Default: endlessTotal, Count: CountImages},
		quota.Resource{Name: QuotaTransfers, Default: endlessTotal, Count: CountTransfers})
}

// Dropper deletes the bytes of an image whose record is gone; again is fine.
type Dropper interface{ Drop(id string) error }

// Deps are what the feature stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	Quota *quota.Quota
	Bytes Dropper
	// Methods are the ways to import that a new image is told of.
	Methods []string
}

// Images is the feature. Safe for concurrent use.
type Images struct{ Deps }

// New makes the feature.
func New(d Deps) *Images { return &Images{d} }

// Get loads an image, whoever may see it.
func (s *Images) Get(ctx context.Context, id string) (*image.Image, error) {
	r, err := get(ctx, s.DB, id)
	if err != nil {
		return nil, err
	}
	return r.image(), nil
}

// All loads every image, for checks.
func (s *Images) All(ctx context.Context) ([]*image.Image, error) {
	return list(ctx, s.DB, selection{visibility: "all"}, viewer{all: true})
}

// With lists a project's active images that have all these properties, newest first.
func (s *Images) With(ctx context.Context, owner string, properties map[string]string) ([]*image.Image, error) {
	want := selection{visibility: "all", Query: listing.Query{Order: []listing.Order{{Column: "created_at", Desc: true}, {Column: "id", Desc: true}}}}
	want.Query = want.And("owner", listing.Eq, owner).And("status", listing.Eq, string(image.Active))
	for name, value := range properties {
		want.properties = append(want.properties, pair{name, value})
	}
	return list(ctx, s.DB, want, viewer{all: true})
}

// Membership is the status of a project's membership in an image; empty: none.
func (s *Images) Membership(ctx context.Context, id, project string) (string, error) {
	if project == "" {
		return "", nil
	}
	return membership(ctx, s.DB, id, project)
}

// Insert records a new image, which has its id and owner already. Conflict
// when the id is taken, OverQuota when the owner has as many as it may.
func (s *Images) Insert(ctx context.Context, i *image.Image, record event.Record) (*image.Image, error) {
	i.CreatedAt = s.Clock.Now()
	i.UpdatedAt = i.CreatedAt
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.Quota.Check(ctx, tx, i.Owner, map[string]int64{QuotaCount: 1}); err != nil {
			return err
		}
		if err := insert(ctx, tx, i); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Image ID %s already exists!", i.ID).Because(err)
	}
	return i, err
}

// Update changes an image: change works on the record as it is inside the
// transaction, and may run more than once.
func (s *Images) Update(ctx context.Context, id string, record event.Record, change func(*image.Image) error) (*image.Image, error) {
	now := s.Clock.Now()
	var changed *image.Image
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		changed = r.image()
		if err := change(changed); err != nil {
			return err
		}
		changed.UpdatedAt = now
		if err := save(ctx, tx, r, changed); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return changed, err
}

// Delete removes an image and its bytes. Forbidden for a protected one unless
// forced. A running transfer notices and gives up.
func (s *Images) Delete(ctx context.Context, id string, record event.Record, force bool) error {
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if r.Protected && !force {
			return fault.Forbiddenf("Image %s is protected and cannot be deleted.", id)
		}
		if err := remove(ctx, tx, id); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if err != nil {
		return err
	}
	if err := s.Bytes.Drop(id); err != nil {
		s.Log.Warn("bytes of a deleted image are left to the reconciler", "image", id, "error", err)
	}
	return nil
}

// setStatus moves between active and deactivated; being there already is fine.
func (s *Images) setStatus(ctx context.Context, id string, from, to image.Status, record event.Record) error {
	_, err := s.Update(ctx, id, record, func(i *image.Image) error {
		if i.Status != from && i.Status != to {
			return fault.Forbiddenf("Not allowed to %s image in status '%s'", record.Action, i.Status)
		}
		i.Status = to
		return nil
	})
	return err
}

// Usage gives limits and usage of a project by resource.
func (s *Images) Usage(ctx context.Context, project string) (limits, used map[string]int64, err error) {
	if limits, err = s.Quota.Limits(ctx, s.DB, project); err != nil {
		return nil, nil, err
	}
	used, err = s.Quota.Usage(ctx, s.DB, project)
	return limits, used, err
}
