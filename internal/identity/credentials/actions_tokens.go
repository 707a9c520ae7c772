package credentials

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/fault"
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
	secret, t, err := a.s.Open(c.Context(), r.Access, a.o.Trust)
	if err != nil {
		return rest.Reply{}, err
	}
	if why := check(r, secret, a.s.clock.Now()); why != nil {
		return rest.Reply{}, refused(why)
	}
	return a.o.Issue(c, t)
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
