package groups

import (
	"context"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// ByName finds a group in a domain; NotFound.
func (s *Service) ByName(ctx context.Context, domainID, name string) (*identity.Group, error) {
	list, err := s.store.list(ctx, s.db, listing.Query{Limit: 1}.And("domain_id", listing.Eq, domainID).And("name", listing.Eq, name))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFound(name)
	}
	return list[0], nil
}

// JoinUntil puts a user into groups for a time, since an identity provider said
// that he is in them. What the provider said before and did not say again runs out.
// What has ended, of whomever, is removed. Conflict: one of the groups is gone.
func (s *Service) JoinUntil(ctx context.Context, user, provider string, groups []string, until time.Time) error {
	now := clock.Micros(s.clock.Now())
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.store.expire(ctx, tx, now); err != nil {
			return err
		}
		before, err := s.store.ends(ctx, tx, user, now)
		if err != nil {
			return err
		}
		changed := false
		for _, g := range groups {
			in, err := s.store.has(ctx, tx, g, user, now)
			if err != nil {
				return err
			}
			changed = changed || !in || before[g].After(until)
			if err := s.store.extend(ctx, tx, g, user, provider, clock.Micros(until)); err != nil {
				return err
			}
		}
		if !changed {
			return nil // he has what he had: nothing has to be computed anew
		}
		return s.changes.Changed(ctx, tx, identity.Change("update", "user", user))
	})
}

// NamesOf lists the groups a user is in by name.
func (s *Service) NamesOf(ctx context.Context, user string) ([]identity.NamedIn, error) {
	list, err := s.OfUser(ctx, user, listing.Query{})
	if err != nil {
		return nil, err
	}
	out := make([]identity.NamedIn, len(list))
	for i, g := range list {
		d, err := s.domains.Get(ctx, g.DomainID)
		if err != nil {
			return nil, err
		}
		out[i] = identity.NamedIn{Name: g.Name, Domain: d.Name}
	}
	return out, nil
}

// ends tells until when a user is in groups that he is in for a time only.
func (s *Service) ends(ctx context.Context, user string) (map[string]time.Time, error) {
	return s.store.ends(ctx, s.db, user, clock.Micros(s.clock.Now()))
}
