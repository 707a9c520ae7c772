package identity

import (
	"regexp"
	"time"
)

// Compliance is Keystone's [security_compliance]; the names are its options.
// The zero value asks for nothing.
type Compliance struct {
	LockoutFailureAttempts     int           // 0: users are never locked
	LockoutDuration            time.Duration // 0: until an administrator unlocks
	DisableUserDaysInactive    int
	ChangePasswordUponFirstUse bool
	PasswordExpiresDays        int
	PasswordRegex              *regexp.Regexp
	PasswordRegexDescription   string
	UniqueLastPasswordCount    int // passwords that may not be used again, the current one among them
	MinimumPasswordAgeDays     int
	MaxPasswordLength          int // bytes; 0: what the hasher takes. It is [identity] max_password_length
}

// Locked tells whether failed logins have locked a user out at a moment.
func (c Compliance) Locked(u *User, now time.Time) bool {
	if c.LockoutFailureAttempts <= 0 || isTrue(u.Options.IgnoreLockoutFailureAttempts) {
		return false
	}
	if u.Password.Failures < c.LockoutFailureAttempts {
		return false
	}
	return c.LockoutDuration <= 0 || now.Before(u.Password.LastFailure.Add(c.LockoutDuration))
}

// PasswordExpired tells whether a user must change the password before login.
func (c Compliance) PasswordExpired(u *User, now time.Time) bool {
	if c.ChangePasswordUponFirstUse && !u.Password.SelfService && !isTrue(u.Options.IgnoreChangePasswordUponFirstUse) {
		return true
	}
	if isTrue(u.Options.IgnorePasswordExpiry) || u.Password.ExpiresAt.IsZero() {
		return false
	}
	return !now.Before(u.Password.ExpiresAt)
}

// Inactive tells whether a user has been away for too long to log in.
func (c Compliance) Inactive(u *User, now time.Time) bool {
	if c.DisableUserDaysInactive <= 0 || u.LastActive.IsZero() || isTrue(u.Options.IgnoreUserInactivity) {
		return false
	}
	return now.Sub(u.LastActive) > time.Duration(c.DisableUserDaysInactive)*24*time.Hour
}

// ExpiryOf is when a password set now expires; zero for never.
func (c Compliance) ExpiryOf(u *User, now time.Time) time.Time {
	if c.PasswordExpiresDays <= 0 || isTrue(u.Options.IgnorePasswordExpiry) {
		return time.Time{}
	}
	return now.Add(time.Duration(c.PasswordExpiresDays) * 24 * time.Hour).Truncate(time.Second)
}

func isTrue(b *bool) bool { return b != nil && *b }
