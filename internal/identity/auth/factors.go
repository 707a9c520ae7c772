package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

var (
	errTooFew  = errors.New("the user's rules ask for more methods")
	errCode    = errors.New("no such user, or a wrong code")
	errOtherOf = errors.New("the access token is for another project")
)

// NeedsMore is the error of a login whose methods held while the user's rules
// ask for more. Receipt lets the client go on from there.
type NeedsMore struct {
	Receipt  string
	Of       identity.Receipt
	User     identity.Named
	Domain   identity.Named
	Required [][]string
}

func (*NeedsMore) Error() string { return "the user's rules ask for more methods" }

// Unwrap makes it a refusal for those who have no way to go on.
func (*NeedsMore) Unwrap() error { return refused(errTooFew) }

// unfinished makes the receipt of a login that needs more.
func (s *Service) unfinished(ctx context.Context, w who, began time.Time) error {
	text, r, err := s.Receipts.IssueReceipt(w.user.ID, w.methods, began)
	if err != nil {
		return err
	}
	d, err := s.Projects.Get(ctx, w.user.DomainID)
	if err != nil {
		return err
	}
	out := &NeedsMore{Receipt: text, Of: r, User: identity.Named{ID: w.user.ID, Name: w.user.Name}, Domain: identity.Named{ID: d.ID, Name: d.Name}}
	for _, rule := range w.user.Options.MultiFactorAuthRules {
		if slices.ContainsFunc(rule, func(m string) bool { return slices.Contains(w.methods, m) }) {
			out.Required = append(out.Required, rule)
		}
	}
	return out
}

// Form of the codes, as authenticator programs have it.
const (
	codeStep   = 30 * time.Second
	codeDigits = 6
)

// byCode checks a one-time code against the user's secrets: the code of now or
// the one before.
func (s *Service) byCode(ctx context.Context, d *totpData) (*identity.User, error) {
	u, err := s.find(ctx, d.User.named)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, refused(errCode)
	}
	secrets, err := s.Secrets.Blobs(ctx, u.ID, identity.MethodTOTP)
	if err != nil {
		return nil, err
	}
	now, fits := s.Clock.Now(), 0
	for _, secret := range secrets {
		for _, at := range []time.Time{now, now.Add(-codeStep)} {
			if want := code(secret, at); want != "" {
				fits |= subtle.ConstantTimeCompare([]byte(want), []byte(*d.User.Passcode))
			}
		}
	}
	if fits != 1 {
		return nil, refused(errCode)
	}
	return u, nil
}

// code is the one-time code of a base32 secret (RFC 6238); empty when it is none.
func code(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(strings.TrimSpace(secret), "=")))
	if err != nil || len(key) == 0 {
		return ""
	}
	m := hmac.New(sha1.New, key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix()/int64(codeStep/time.Second))))
	sum := m.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%1000000)
}

// byOAuth checks the signature of a login with an access token. Such a login
// has the project of the token and no other.
func (s *Service) byOAuth(ctx context.Context, req request, w *who) (*identity.User, error) {
	a, err := s.OAuth.Verify(ctx, req.signed)
	if err != nil {
		return nil, err
	}
	if req.scope.asked && (req.scope.project == nil || req.scope.project.ID != a.ProjectID) {
		return nil, refused(errOtherOf)
	}
	w.oauth = a
	u, err := s.Users.Get(ctx, a.UserID)
	if fault.Is(err, fault.NotFound) {
		return nil, refused(errNoUser)
	}
	return u, err
}
