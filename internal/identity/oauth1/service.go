package oauth1

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/listing"
)

// How long tokens live, as upstream has it.
const (
	requestLife = 8 * time.Hour
	accessLife  = 24 * time.Hour
)

var (
	errSignature = errors.New("the signature does not fit")
	errOld       = errors.New("the signature's time is not about now")
	errOther     = errors.New("the token is of another consumer")
)

// Service keeps consumers and their tokens. Safe for concurrent use.
type Service struct {
	db      *db.DB
	clock   clock.Clock
	changes identity.Changes
	store   store
}

// New makes the service.
func New(d *db.DB, c clock.Clock, ch identity.Changes, seal Sealer) *Service {
	return &Service{d, c, ch, newStore(seal)}
}

// refused is the answer to a request that is not signed as it should be.
func refused(text string, why error) error {
	return fault.New(fault.Unauthenticated, "%s", text).Because(why)
}

func expecting(what string) error {
	return fault.Invalidf("Expecting to find %s in request. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", what)
}

func (s *Service) write(ctx context.Context, action, kind, object string, fn func(tx *db.Tx) error, ended ...identity.Revocation) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change(action, kind, object), ended...)
	})
}

// Consumer loads a consumer; NotFound.
func (s *Service) Consumer(ctx context.Context, id string) (*identity.Consumer, error) {
	return get(ctx, s.db, s.store.consumers, id, "Consumer", s.store.consumer)
}

// Consumers loads a page of consumers.
func (s *Service) Consumers(ctx context.Context, q listing.Query) ([]*identity.Consumer, error) {
	return list(ctx, s.db, s.store.consumers, q, s.store.consumer)
}

// CreateConsumer adds a consumer with a secret of its own.
func (s *Service) CreateConsumer(ctx context.Context, c identity.Consumer) (*identity.Consumer, error) {
	c.ID, c.Secret, c.CreatedAt = id.Hex(), id.Hex(), s.clock.Now()
	return &c, s.write(ctx, "create", "consumer", c.ID, func(tx *db.Tx) error {
		return s.store.consumers.Insert(ctx, tx, s.store.fromConsumer(&c))
	})
}

// UpdateConsumer changes a consumer; fn edits it inside the transaction.
func (s *Service) UpdateConsumer(ctx context.Context, id string, fn func(*identity.Consumer)) (*identity.Consumer, error) {
	var out *identity.Consumer
	err := s.write(ctx, "update", "consumer", id, func(tx *db.Tx) error {
		c, err := get(ctx, tx, s.store.consumers, id, "Consumer", s.store.consumer)
		if err != nil {
			return err
		}
		fn(c)
		out = c
		return s.store.consumers.Update(ctx, tx, s.store.fromConsumer(c))
	})
	return out, err
}

// DeleteConsumer removes a consumer with its tokens; NotFound.
func (s *Service) DeleteConsumer(ctx context.Context, id string) error {
	return s.write(ctx, "delete", "consumer", id, func(tx *db.Tx) error {
		if _, err := get(ctx, tx, s.store.consumers, id, "Consumer", s.store.consumer); err != nil {
			return err
		}
		return s.store.consumers.Delete(ctx, tx, id)
	})
}

// signedBy finds the consumer that signed a request and the parameters of its
// header. secret gives the secret of the token that the request names, if any.
func (s *Service) signedBy(ctx context.Context, r identity.SignedRequest, secret string) (map[string]string, error) {
	params := parseHeader(r.Authorization)
	key := params["oauth_consumer_key"]
	if key == "" {
		return nil, expecting("oauth_consumer_key")
	}
	c, err := s.Consumer(ctx, key)
	if err != nil {
		return nil, err
	}
	if !fits(r, params, c.Secret, secret) {
		return nil, refused("Invalid signature", errSignature)
	}
	if !fresh(params, s.clock.Now()) {
		return nil, refused("Invalid signature", errOld)
	}
	return params, nil
}

// Ask makes a request token of the consumer that signed r.
func (s *Service) Ask(ctx context.Context, r identity.SignedRequest, project string) (*identity.OAuthRequest, error) {
	params, err := s.signedBy(ctx, r, "")
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	out := &identity.OAuthRequest{ID: id.Hex(), Secret: id.Hex(), ConsumerID: params["oauth_consumer_key"], ProjectID: project, ExpiresAt: now.Add(requestLife)}
	return out, s.write(ctx, "create", "request_token", out.ID, func(tx *db.Tx) error {
		if err := s.store.expire(ctx, tx, now); err != nil {
			return err
		}
		return s.store.requests.Insert(ctx, tx, s.store.fromRequest(out))
	})
}

// Request loads a request token that has not ended; NotFound, Unauthenticated.
func (s *Service) Request(ctx context.Context, id string) (*identity.OAuthRequest, error) {
	return s.request(ctx, s.db, id)
}

func (s *Service) request(ctx context.Context, q db.Querier, id string) (*identity.OAuthRequest, error) {
	r, err := get(ctx, q, s.store.requests, id, "Request token", s.store.request)
	if err == nil && !s.clock.Now().Before(r.ExpiresAt) {
		err = refused("Request token is expired", nil)
	}
	return r, err
}

// Grant lets a user give a request token roles, and returns its verifier.
func (s *Service) Grant(ctx context.Context, token, user string, roles []string) (string, error) {
	verifier := id.Hex()[:8]
	return verifier, s.write(ctx, "authorize", "request_token", token, func(tx *db.Tx) error {
		r, err := s.request(ctx, tx, token)
		if err != nil {
			return err
		}
		r.UserID, r.RoleIDs, r.Verifier = user, roles, verifier
		return s.store.requests.Update(ctx, tx, s.store.fromRequest(r))
	})
}

// Exchange turns a granted request token into an access token.
func (s *Service) Exchange(ctx context.Context, r identity.SignedRequest) (*identity.OAuthAccess, error) {
	params := parseHeader(r.Authorization)
	for _, name := range []string{"oauth_consumer_key", "oauth_token", "oauth_verifier"} {
		if params[name] == "" {
			return nil, expecting(name)
		}
	}
	asked, err := s.Request(ctx, params["oauth_token"])
	if err != nil {
		return nil, err
	}
	if asked.ConsumerID != params["oauth_consumer_key"] {
		return nil, refused("Provided consumer key does not match stored consumer key.", errOther)
	}
	if _, err := s.signedBy(ctx, r, asked.Secret); err != nil {
		return nil, err
	}
	if asked.Verifier == "" || subtle.ConstantTimeCompare([]byte(asked.Verifier), []byte(params["oauth_verifier"])) != 1 {
		return nil, refused("Provided verifier does not match stored verifier", nil)
	}
	now := s.clock.Now()
	out := &identity.OAuthAccess{ID: id.Hex(), Secret: id.Hex(), ConsumerID: asked.ConsumerID, UserID: asked.UserID, ProjectID: asked.ProjectID,
		RoleIDs: asked.RoleIDs, ExpiresAt: now.Add(accessLife)}
	return out, s.write(ctx, "create", "access_token", out.ID, func(tx *db.Tx) error {
		if err := s.store.requests.Delete(ctx, tx, asked.ID); err != nil { // once: of two, one finds it gone
			return err
		}
		return s.store.accesses.Insert(ctx, tx, s.store.fromAccess(out, now))
	})
}

// Access loads an access token; NotFound.
func (s *Service) Access(ctx context.Context, id string) (*identity.OAuthAccess, error) {
	return get(ctx, s.db, s.store.accesses, id, "Access token", s.store.access)
}

// Accesses loads a page of the access tokens that a user has granted.
func (s *Service) Accesses(ctx context.Context, q listing.Query) ([]*identity.OAuthAccess, error) {
	return list(ctx, s.db, s.store.accesses, q, s.store.access)
}

// Revoke removes an access token of a user and ends what was made with it;
// NotFound, also for another user's.
func (s *Service) Revoke(ctx context.Context, user, token string) error {
	return s.write(ctx, "delete", "access_token", token, func(tx *db.Tx) error {
		a, err := get(ctx, tx, s.store.accesses, token, "Access token", s.store.access)
		if err == nil && a.UserID != user {
			err = fault.NotFoundf("Access token not found")
		}
		if err != nil {
			return err
		}
		return s.store.accesses.Delete(ctx, tx, token)
	}, identity.Revocation{Subject: identity.SubjectOAuth, Key: token})
}

// Verify finds the access token that a login is signed with. Unauthenticated
// when it has ended or the signature does not fit.
func (s *Service) Verify(ctx context.Context, r identity.SignedRequest) (*identity.OAuthAccess, error) {
	params := parseHeader(r.Authorization)
	if params["oauth_token"] == "" {
		return nil, expecting("oauth_token")
	}
	a, err := s.Access(ctx, params["oauth_token"])
	if err != nil {
		return nil, err
	}
	if !s.clock.Now().Before(a.ExpiresAt) {
		return nil, refused("Access token is expired", nil)
	}
	if a.ConsumerID != params["oauth_consumer_key"] {
		return nil, refused("Could not validate the access token", errOther)
	}
	if _, err := s.signedBy(ctx, r, a.Secret); err != nil {
		return nil, err
	}
	return a, nil
}
