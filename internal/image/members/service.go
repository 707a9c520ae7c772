package members

import (
	"context"
	"slices"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
)

const maxMembers = 128

var statuses = []string{"pending", "accepted", "rejected"}

func (s *Members) add(ctx context.Context, image, project string, record event.Record) (*Member, error) {
	now := clock.Micros(s.clock.Now())
	m := &Member{ID: key(image, project), ImageID: image, Project: project, Status: "pending", CreatedAt: now, UpdatedAt: now}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := count(ctx, tx, image)
		if err != nil {
			return err
		}
		if n >= maxMembers {
			return fault.New(fault.TooLarge, "Image member limit exceeded for image %s: The limit has been exceeded on the number of allowed image members for this image. Attempted: %d, Maximum: %d:", image, n+1, maxMembers)
		}
		if err := rows.Insert(ctx, tx, m); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Member %s is duplicated for image %s", project, image).Because(err)
	}
	return m, err
}

func (s *Members) get(ctx context.Context, image, project string) (*Member, error) {
	m, err := rows.Get(ctx, s.db, key(image, project))
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFoundf("%s not found in the member list of the image %s.", project, image)
	}
	return m, err
}

func (s *Members) setStatus(ctx context.Context, m *Member, status string, record event.Record) (*Member, error) {
	if !slices.Contains(statuses, status) {
		return nil, fault.Invalidf("Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".")
	}
	changed := *m
	changed.Status, changed.UpdatedAt = status, clock.Micros(s.clock.Now())
	return &changed, s.db.Write(ctx, func(tx *db.Tx) error {
		if err := rows.Update(ctx, tx, &changed); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}

func (s *Members) remove(ctx context.Context, m *Member, record event.Record) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := rows.Delete(ctx, tx, m.ID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
}
