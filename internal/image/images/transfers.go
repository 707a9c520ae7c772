package images

import (
	"context"
	"maps"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/listing"
	"github.com/mekcloud/mek/internal/outbox"
)

const (
	notAllowed     = "Image status transition from %s to %s is not allowed"
	formatsMissing = "Properties disk_format, container_format must be set prior to saving data."
)

// Begin gives an image to a transfer, which from now on owns it by its token.
// size is what the client announced, 0 when it did not. seize takes it from a
// transfer that was left. Conflict when the image's status does not allow it,
// OverQuota when there is no room.
func (s *Images) Begin(ctx context.Context, id, token string, to image.Status, size int64, seize bool) (*image.Image, error) {
	now := s.Clock.Now()
	var begun *image.Image
	owner, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := s.Quota.Check(ctx, tx, owner.Owner, deltas(to, size, 1)); err != nil {
			return err
		}
		r, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		begun = r.image()
		left := seize && begun.Status == to
		if !left && (!begun.Status.May(to) || r.Transfer != "") {
			return fault.Conflictf(notAllowed, begun.Status, to)
		}
		if begun.Disk == "" || begun.Container == "" {
			return fault.Invalidf(formatsMissing)
		}
		begun.Status, begun.UpdatedAt = to, now
		r.Transfer, r.Seen = token, clock.Micros(now)
		return save(ctx, tx, r, begun)
	})
	return begun, err
}

// deltas are what a transfer adds: to the store, or to what waits for imports.
func deltas(to image.Status, size, transfers int64) map[string]int64 {
	name := QuotaSize
	if to == image.Uploading {
		name = QuotaStaged
	}
	return map[string]int64{name: (size + 1<<20 - 1) >> 20, QuotaTransfers: transfers}
}

// Seen says that a transfer is alive. Gone when it does not own the image any more.
func (s *Images) Seen(ctx context.Context, id, token string) error {
	now := clock.Micros(s.Clock.Now())
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.owned(ctx, tx, id, token); err != nil {
			return err
		}
		return rows.Set(ctx, tx, id, map[string]any{"transfer_seen": now})
	})
}

func (s *Images) owned(ctx context.Context, tx *db.Tx, id, token string) (*row, error) {
	r, err := rows.GetForUpdate(ctx, tx, id)
	if fault.Is(err, fault.NotFound) || err == nil && r.Transfer != token {
		return nil, fault.New(fault.Gone, "Image %s could not be found after upload. The image may have been deleted during the upload, cleaning up the chunks uploaded.", id)
	}
	return r, err
}

// Finish records what a transfer brought, and ends it. Gone when it does not
// own the image any more, OverQuota when the bytes are more than allowed.
func (s *Images) Finish(ctx context.Context, id, token string, got image.Stored, record event.Record) (*image.Image, error) {
	now := s.Clock.Now()
	var done *image.Image
	owner, err := s.Get(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		if owner != nil {
			if err := s.Quota.Check(ctx, tx, owner.Owner, deltas(got.Status, got.Size, 0)); err != nil {
				return err
			}
		}
		r, err := s.owned(ctx, tx, id, token)
		if err != nil {
			return err
		}
		done = r.image()
		if done.Status != got.Status && !done.Status.May(got.Status) {
			return fault.Conflictf(notAllowed, done.Status, got.Status)
		}
		done.Status, done.Size, done.VirtualSize, done.Checksum, done.HashValue = got.Status, got.Size, got.VirtualSize, got.MD5, got.SHA512
		done.Content, done.UpdatedAt = got.Content, now
		r.Transfer, r.Seen = "", 0
		if err := save(ctx, tx, r, done); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return done, err
}

// Abort takes an image back to "queued", without bytes, when the transfer
// still owns it. A transfer that does not is no error.
func (s *Images) Abort(ctx context.Context, id, token string) error {
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := s.owned(ctx, tx, id, token)
		if err != nil {
			return err
		}
		i := r.image()
		i.Status, i.Size, i.VirtualSize, i.Checksum, i.HashValue, i.Content = image.Queued, -1, -1, "", "", ""
		r.Transfer, r.Seen = "", 0
		return save(ctx, tx, r, i)
	})
	if fault.Is(err, fault.Gone) {
		return nil
	}
	return err
}

// Transfers lists the transfers that gave no sign of life for so long.
func (s *Images) Transfers(ctx context.Context, silent time.Duration) ([]image.Transfer, error) {
	before := clock.Micros(s.Clock.Now().Add(-silent))
	found, err := rows.Find(ctx, s.DB, listing.Term{Column: "transfer", Op: listing.NotEq, Values: []any{""}},
		listing.Term{Column: "transfer_seen", Op: listing.LessEq, Values: []any{before}})
	if err != nil {
		return nil, err
	}
	out := make([]image.Transfer, len(found))
	for i, r := range found {
		out[i] = image.Transfer{ImageID: r.ID, Token: r.Transfer}
	}
	return out, nil
}

// Withdraw takes an active image back to "queued", without bytes; one that is
// not active, or gone, is no error.
func (s *Images) Withdraw(ctx context.Context, id string) error {
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		r, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		i := r.image()
		if i.Status != image.Active {
			return nil
		}
		i.Status, i.Size, i.VirtualSize, i.Checksum, i.HashValue, i.Content = image.Queued, -1, -1, "", "", ""
		return save(ctx, tx, r, i)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Mark sets properties that are the service's own; an image that is gone is no error.
func (s *Images) Mark(ctx context.Context, tx *db.Tx, id string, properties map[string]string) error {
	r, err := lock(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	i := r.image()
	merged := map[string]string{}
	maps.Copy(merged, i.Properties)
	maps.Copy(merged, properties)
	i.Properties = merged
	return save(ctx, tx, r, i)
}

// Parse reads the properties of a new image, as a request to create one has them.
func (s *Images) Parse(body []byte, id, project string) (*image.Image, error) {
	return newImage(body, id, project)
}

// Locate records where an image's bytes were brought from; an image that is gone is no error.
func (s *Images) Locate(ctx context.Context, tx *db.Tx, id, url string) error {
	err := rows.Set(ctx, tx, id, map[string]any{"location": url})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Location is where an image's bytes were brought from; empty: they were given.
func (s *Images) Location(ctx context.Context, id string) (string, error) {
	r, err := get(ctx, s.DB, id)
	if err != nil {
		return "", err
	}
	return r.Location, nil
}
