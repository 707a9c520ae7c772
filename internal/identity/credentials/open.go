package credentials

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// Open loads an access key's secret and the token that its owner may have for
// it, not yet issued. Unauthenticated, as a wrong signature is, when there is no
// such key or the trust that it was made through is gone; trust loads one.
func (s *Service) Open(ctx context.Context, access string, trust func(ctx context.Context, id string) (*identity.Trust, error)) (string, identity.Token, error) {
	cr, k, err := s.keyFor(ctx, access)
	if err != nil {
		return "", identity.Token{}, err
	}
	t := identity.Token{UserID: cr.UserID, Methods: []string{identity.MethodEC2}, Scope: identity.Scope{ProjectID: cr.ProjectID}, AppCredentialID: k.AppCredID}
	if k.TrustID == nil || *k.TrustID == "" {
		return k.Secret, t, nil
	}
	lent, err := trust(ctx, *k.TrustID)
	if err != nil {
		return "", t, refused(err)
	}
	t.Scope.TrustID = lent.ID
	if lent.Impersonation { // the key is in the trustor's name, the token is the trustee's
		t.UserID = lent.TrusteeID
	}
	return k.Secret, t, nil
}

// keyFor loads an access key with its secret; one that is not there is answered
// as a wrong signature is.
func (s *Service) keyFor(ctx context.Context, access string) (*identity.Credential, key, error) {
	cr, err := s.Get(ctx, hashAccess(access))
	if fault.Is(err, fault.NotFound) || (err == nil && cr.Type != typeEC2) {
		return nil, key{}, refused(errNoKey)
	}
	if err != nil {
		return nil, key{}, err
	}
	var k key
	if err := json.Unmarshal([]byte(cr.Blob), &k); err != nil || k.Secret == "" || k.Access != access {
		return nil, key{}, refused(errNoKey)
	}
	return cr, k, nil
}
