package tokens

import (
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// receiptLife is how long a login that needs more methods may be continued.
const receiptLife = 5 * time.Minute

// IssueReceipt seals which methods have held for a user. began is when the
// login did: what ends the user's tokens later ends the receipt too.
func (s *Service) IssueReceipt(user string, methods []string, began time.Time) (string, identity.Receipt, error) {
	r := identity.Receipt{UserID: user, Methods: methods, IssuedAt: began, ExpiresAt: began.Add(receiptLife).Truncate(time.Second)}
	text, ok := s.sealed.seal(encodeReceipt(r), began)
	if !ok {
		return "", r, fault.Unavailablef("There is no key to make receipts with.")
	}
	return text, r, nil
}

// ReadReceipt opens a receipt. Unauthenticated when it is none, has ended, or
// the user's tokens were revoked since.
func (s *Service) ReadReceipt(text string) (identity.Receipt, error) {
	msg, ok := s.sealed.open(text)
	if !ok {
		return identity.Receipt{}, dead(errForged)
	}
	r, err := decodeReceipt(msg)
	if err != nil {
		return r, dead(err)
	}
	if !s.clock.Now().Before(r.ExpiresAt) {
		return r, dead(errExpired)
	}
	if s.epochs.revoked(identity.Token{UserID: r.UserID, IssuedAt: r.IssuedAt}) {
		return r, dead(errRevoked)
	}
	return r, nil
}
