package users

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
)

// maxName bounds what providers call a user as the API bounds names of users: in
// characters, and in bytes of the unique id, which is written in ASCII.
const maxName = 255

var errName = errors.New("the name or the unique id of the user is empty or too long")

// Shadow gives the user that an identity provider means, and makes him at his
// first login. Unauthenticated: the user was disabled or has been away for too
// long, or his names are none that a user can have.
func (s *Service) Shadow(ctx context.Context, n identity.Newcomer) (*identity.User, error) {
	n.Name = strings.TrimSpace(n.Name)
	if n.Name == "" || utf8.RuneCountInString(n.Name) > maxName || len(n.UniqueID) > maxName {
		return nil, refused(errName)
	}
	u, err := s.shadow(ctx, n)
	if fault.Is(err, fault.Conflict) { // another server made him a moment ago
		u, err = s.shadow(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	return u, s.Arrived(ctx, u)
}

// Arrived notes the day on which a provider vouched for a user. It forgets no failed
// logins by password: they may be somebody else's. Unauthenticated: the user was
// disabled or has been away for too long.
func (s *Service) Arrived(ctx context.Context, u *identity.User) error {
	d, err := s.Domains.Get(ctx, u.DomainID)
	if err != nil {
		return err
	}
	now := s.Clock.Now()
	switch {
	case !u.Enabled || !d.Enabled:
		return refused(errDisabled)
	case s.Compliance.Inactive(u, now):
		return refused(errInactive)
	}
	active, noted := s.activeAt(u, now)
	if !noted {
		return nil
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		return s.store.table.Set(ctx, tx, u.ID, map[string]any{"last_active": micros(active)})
	})
}

func (s *Service) shadow(ctx context.Context, n identity.Newcomer) (*identity.User, error) {
	now := s.Clock.Now()
	known, err := s.store.meant(ctx, s.DB, n.FederatedIdentity)
	if err == nil && (!known.Shadow || known.Name == n.Name) {
		return known, nil // nearly always: nothing is written
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	fresh := s.newcomer(n, now)
	var out *identity.User
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		u, err := s.store.meant(ctx, tx, n.FederatedIdentity)
		switch {
		case fault.Is(err, fault.NotFound):
			out = &fresh
			if err := s.store.table.Insert(ctx, tx, toRow(&fresh)); err != nil {
				return err
			}
			if err := s.store.known(ctx, tx, fresh.ID, fresh.Federated); err != nil {
				return err
			}
			return s.Changes.Changed(ctx, tx, identity.Change("create", "user", fresh.ID))
		case err != nil:
			return err
		}
		if out = u; !u.Shadow || u.Name == n.Name {
			return nil
		}
		u.Name = n.Name
		if err := s.store.table.Update(ctx, tx, toRow(u)); err != nil {
			return err
		}
		return s.Changes.Changed(ctx, tx, identity.Change("update", "user", u.ID))
	})
	return out, err
}

func (s *Service) newcomer(n identity.Newcomer, now time.Time) identity.User {
	u := identity.User{ID: id.Hex(), Name: n.Name, DomainID: n.DomainID, Enabled: true, CreatedAt: now, Shadow: true,
		Federated: []identity.FederatedIdentity{n.FederatedIdentity}}
	if n.Email != "" {
		u.Extra = map[string]any{"email": n.Email}
	}
	if s.Compliance.DisableUserDaysInactive > 0 {
		u.LastActive = now
	}
	return u
}

// Federated lists the names by which identity providers know a user.
func (s *Service) Federated(ctx context.Context, user string) ([]identity.FederatedIdentity, error) {
	return s.store.names(ctx, s.DB, user)
}
