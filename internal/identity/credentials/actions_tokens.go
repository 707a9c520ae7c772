package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/rest"
)

var (
	errNoKey     = errors.New("no such access key")
	errSignature = errors.New("the signature does not fit")
	errOld       = errors.New("the signature is too old, too new or without a time")
)

// refused is the one answer to every signature that does not hold, known key or not.
func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

func (a *api) ec2Token(c *rest.Call) (rest.Reply, error) {
	return a.token(c, func(r *signed, secret string, now time.Time) error {
		if !r.fits(secret) {
			return errSignature
		}
		if !r.fresh(now) {
			return errOld
		}
		return nil
	})
}

// s3Token leaves the age to the object store, which knows whether the request
// was presigned to last.
func (a *api) s3Token(c *rest.Call) (rest.Reply, error) {
	return a.token(c, func(r *signed, secret string, _ time.Time) error {
		if !r.fitsS3(secret) {
			return errSignature
		}
		return nil
	})
}

func (a *api) token(c *rest.Call, check func(r *signed, secret string, now time.Time) error) (rest.Reply, error) {
	r, err := readSigned(c.Payload())
	if err != nil {
		return rest.Reply{}, err
	}
	cr, k, err := a.s.keyFor(c.Context(), r.Access)
	if err != nil {
		return rest.Reply{}, err
	}
	if why := check(r, k.Secret, a.s.clock.Now()); why != nil {
		return rest.Reply{}, refused(why)
	}
	t := identity.Token{UserID: cr.UserID, Methods: []string{identity.MethodEC2}, Scope: identity.Scope{ProjectID: cr.ProjectID}, AppCredentialID: k.AppCredID}
	if k.TrustID != nil && *k.TrustID != "" {
		trust, err := a.o.Trust(c.Context(), *k.TrustID)
		if err != nil {
			return rest.Reply{}, refused(err)
		}
		t.Scope.TrustID = trust.ID
		if trust.Impersonation { // the key is in the trustor's name, the token is the trustee's
			t.UserID = trust.TrusteeID
		}
	}
	return a.o.Issue(c, t)
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

// readSigned takes the request under any of the names that clients use.
func readSigned(payload []byte) (*signed, error) {
	var body map[string]json.RawMessage
	if err := json.Unmarshal(payload, &body); err != nil || len(body) == 0 {
		return nil, fault.Invalidf("request must include a request body")
	}
	for _, name := range []string{"credentials", "credential", "ec2Credentials"} {
		raw, ok := body[name]
		if !ok {
			continue
		}
		var r signed
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fault.Invalidf("Malformed request body: %s is not a signed request", name)
		}
		if r.Access != "" {
			return &r, nil
		}
	}
	return nil, refused(errNoKey)
}
