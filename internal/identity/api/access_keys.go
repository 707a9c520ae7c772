package identityapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/maypok86/otter/v2"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/identity/tokens"
)

// accessKeys implements identity.AccessKeys. What it read of a key it keeps
// until any identity row changes, as the resolver does: the object store asks
// on every request.
type accessKeys struct {
	s     *Service
	cache *otter.Cache[string, openedKey]
}

type openedKey struct {
	generation int64
	secret     string
	token      identity.Token
}

func newAccessKeys(s *Service) *accessKeys {
	return &accessKeys{s, otter.Must(&otter.Options[string, openedKey]{MaximumSize: 5000})}
}

// Lookup opens a key and asks what it is worth now.
func (a *accessKeys) Lookup(ctx context.Context, access string) (identity.AccessKey, error) {
	k, err := a.open(ctx, access)
	if err != nil {
		return identity.AccessKey{}, err
	}
	worth, err := a.s.access.Resolve(ctx, k.token)
	if err != nil {
		return identity.AccessKey{}, err
	}
	t := k.token
	t.IssuedAt, t.ExpiresAt = a.s.clock.Now(), worth.ExpiresBy
	c := tokens.Credentials(t, worth)
	sum := sha256.Sum256([]byte("access key " + access))
	c.TokenKey = hex.EncodeToString(sum[:16])
	return identity.AccessKey{Secret: k.secret, Credentials: c}, nil
}

func (a *accessKeys) open(ctx context.Context, access string) (openedKey, error) {
	now := a.s.tokens.Generation() // before the rows are read: they may be newer, never older
	if k, ok := a.cache.GetIfPresent(access); ok && k.generation == now {
		return k, nil
	}
	secret, t, err := a.s.credentials.Open(ctx, access, a.s.trusts.Get)
	if err != nil {
		return openedKey{}, err
	}
	k := openedKey{now, secret, t}
	a.cache.Set(access, k)
	return k, nil
}

// AccessKeys opens EC2 keys for the object store.
func (s *Service) AccessKeys() identity.AccessKeys { return s.accessKeys }

// Directory resolves accounts and users for the object store.
func (s *Service) Directory() identity.Directory { return directory{s} }

type directory struct{ s *Service }

// FindProject looks by id, then by name.
func (d directory) FindProject(ctx context.Context, idOrName string) (*identity.Project, error) {
	return either(ctx, idOrName, d.s.projects.Get, d.s.projects.ByName)
}

// FindUser looks by id, then by name.
func (d directory) FindUser(ctx context.Context, idOrName string) (*identity.User, error) {
	return either(ctx, idOrName, d.s.users.Get, d.s.users.ByName)
}

func either[T any](ctx context.Context, idOrName string, byID func(ctx context.Context, id string) (*T, error), byName func(ctx context.Context, domain, name string) (*T, error)) (*T, error) {
	found, err := byID(ctx, idOrName)
	if fault.Is(err, fault.NotFound) {
		return byName(ctx, identity.DefaultDomainID, idOrName)
	}
	return found, err
}
