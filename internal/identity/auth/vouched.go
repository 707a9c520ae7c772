package auth

import (
	"context"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// Vouched makes an unscoped token under the limits of logins. NeedsMore when the
// user's rules ask for more methods.
func (s *Service) Vouched(ctx context.Context, v identity.Vouched) (identity.Issued, error) {
	a, err := s.limits.begin("", v.Remote)
	if err != nil {
		return identity.Issued{}, err
	}
	if err := s.Tokens.Refresh(ctx); err != nil {
		return identity.Issued{}, err
	}
	began := s.Tokens.Stamp()
	u, f, err := v.Who(ctx)
	if fault.Is(err, fault.Unauthenticated) {
		s.limits.failed(a)
	}
	if err != nil {
		return identity.Issued{}, err
	}
	w := who{user: u, methods: []string{v.Method}}
	if !enough(u.Options, w.methods) {
		return identity.Issued{}, s.unfinished(ctx, w, began)
	}
	return s.issue(ctx, identity.Token{UserID: u.ID, Methods: w.methods, Federation: f, IssuedAt: began}, "", true)
}
