package users

import (
	"context"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

var (
	errUnknown  = errors.New("no such user")
	errWrong    = errors.New("wrong password")
	errLocked   = errors.New("locked after failed logins")
	errDisabled = errors.New("user or domain is disabled")
	errInactive = errors.New("away for too long")
)

// Refused is the one answer for every login that fails; only logs know why.
func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

// hashNew checks a new password against the rules and hashes it.
func (s *Service) hashNew(ctx context.Context, password string) (string, error) {
	if re := s.Compliance.PasswordRegex; re != nil && !re.MatchString(password) {
		return "", fault.Invalidf("Password validation error: The password does not match the requirements: %s.", s.Compliance.PasswordRegexDescription)
	}
	if most := s.Compliance.MaxPasswordLength; most > 0 && len(password) > most {
		return "", fault.Invalidf("Password validation error: The password length must be less than or equal to %d.", most)
	}
	return s.Hasher.Hash(ctx, password)
}

// checkHistory refuses a password that was used lately.
func (s *Service) checkHistory(ctx context.Context, id, password string) error {
	n := s.Compliance.UniqueLastPasswordCount
	if n <= 0 {
		return nil
	}
	u, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	hashes := []string{u.Password.Hash}
	if n > 1 {
		old, err := s.store.oldHashes(ctx, s.DB, id, n-1)
		if err != nil {
			return err
		}
		hashes = append(hashes, old...)
	}
	for _, h := range hashes {
		if h == "" {
			continue
		}
		v, err := s.Hasher.Check(ctx, h, password)
		if err != nil {
			return err
		}
		if v.OK {
			return fault.Invalidf("Password validation error: The new password cannot be identical to a previous password. "+
				"The total number which includes the new password must be unique is: %d.", n)
		}
	}
	return nil
}

// Verify checks a password login. u is nil when no such user exists: the work
// is the same. It counts failures, upgrades old hashes and notes the day.
func (s *Service) Verify(ctx context.Context, u *identity.User, password string) error {
	hash := ""
	if u != nil {
		hash = u.Password.Hash
	}
	v, err := s.Hasher.Check(ctx, hash, password)
	if err != nil {
		return err
	}
	if u == nil {
		return refused(errUnknown)
	}
	now := s.Clock.Now()
	if s.Compliance.Locked(u, now) {
		return refused(errLocked)
	}
	if !v.OK {
		if err := s.failed(ctx, u, now); err != nil {
			return err
		}
		return refused(errWrong)
	}
	d, err := s.Domains.Get(ctx, u.DomainID)
	if err != nil {
		return err
	}
	switch {
	case !u.Enabled || !d.Enabled:
		return refused(errDisabled)
	case s.Compliance.Inactive(u, now):
		return refused(errInactive)
	case s.Compliance.PasswordExpired(u, now):
		return fault.New(fault.Unauthenticated, "The password is expired and needs to be changed for user: %s.", u.ID)
	}
	return s.succeeded(ctx, u, password, v.Stale, now)
}

func (s *Service) failed(ctx context.Context, u *identity.User, now time.Time) error {
	if s.Compliance.LockoutFailureAttempts <= 0 {
		return nil
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		fresh, err := s.store.get(ctx, tx, u.ID)
		if fault.Is(err, fault.NotFound) {
			return nil // deleted meanwhile: nothing to count
		}
		if err != nil {
			return err
		}
		n := fresh.Password.Failures + 1
		if fresh.Password.Failures >= s.Compliance.LockoutFailureAttempts { // a lock that has ended: count anew
			n = 1
		}
		return s.store.tried(ctx, tx, u.ID, n, now, fresh.LastActive)
	})
}

// activeAt is when a user who logs in now was last here, and whether that is news:
// it is noted once a day.
func (s *Service) activeAt(u *identity.User, now time.Time) (at time.Time, news bool) {
	if s.Compliance.DisableUserDaysInactive > 0 && u.LastActive.Before(now.Truncate(24*time.Hour)) {
		return now, true
	}
	return u.LastActive, false
}

// succeeded writes only when something is to be noted: most logins write nothing.
func (s *Service) succeeded(ctx context.Context, u *identity.User, password string, stale bool, now time.Time) error {
	active, noted := s.activeAt(u, now)
	noted = noted || u.Password.Failures != 0
	if !noted && !stale {
		return nil
	}
	hash := ""
	if stale {
		var err error
		if hash, err = s.Hasher.Hash(ctx, password); err != nil {
			return err
		}
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		if stale {
			if err := s.store.rehash(ctx, tx, u.ID, u.Password.Hash, hash); err != nil {
				return err
			}
		}
		if !noted {
			return nil
		}
		return s.store.tried(ctx, tx, u.ID, 0, u.Password.LastFailure, active)
	})
}

// ChangePassword is a user's own change. Unauthenticated: the old password is
// wrong. Invalid: the new one breaks a rule. Tokens of the user end.
func (s *Service) ChangePassword(ctx context.Context, id, old, password string) error {
	u, err := s.Get(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	now := s.Clock.Now()
	expired := u != nil && s.Compliance.PasswordExpired(u, now)
	if err := s.Verify(ctx, u, old); err != nil && !(expired && fault.As(err).Cause == nil) {
		return err
	}
	if u == nil {
		return refused(errUnknown)
	}
	if u.Options.LockPassword != nil && *u.Options.LockPassword {
		return fault.Forbiddenf("Cannot change password for user %s: the password is locked.", id)
	}
	if age := s.Compliance.MinimumPasswordAgeDays; age > 0 && !expired && now.Sub(u.Password.CreatedAt) < time.Duration(age)*24*time.Hour {
		return fault.Invalidf("Password validation error: Cannot change password before minimum age %d days is met.", age)
	}
	if err := s.checkHistory(ctx, id, password); err != nil {
		return err
	}
	hash, err := s.hashNew(ctx, password)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		fresh, err := s.store.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.store.remember(ctx, tx, id, fresh.Password.Hash, fresh.Password.CreatedAt, s.Compliance.UniqueLastPasswordCount); err != nil {
			return err
		}
		fresh.Password = identity.Password{Hash: hash, CreatedAt: now, ExpiresAt: s.Compliance.ExpiryOf(fresh, now), SelfService: true}
		if err := s.store.table.Update(ctx, tx, toRow(fresh)); err != nil {
			return err
		}
		return s.Changes.Changed(ctx, tx, identity.Change("update", "user", id), identity.Revocation{Subject: identity.SubjectUser, Key: id})
	})
}
