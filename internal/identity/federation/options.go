package federation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/oidc"
	"github.com/mekcloud/mek/internal/identity/saml"
)

// Options is what the operator decides. An identity provider of the API that is
// not among Providers has nobody who could log in through it.
type Options struct {
	// PublicURL is scheme://host:port at which clients and providers reach this
	// cloud; providers name it in what they sign, so it must not be what a client says.
	PublicURL         string
	Prefix            string             // of the service below PublicURL: "/identity"
	TrustedDashboards []string           // addresses that tokens of browsers' logins go to
	AuthorizationTTL  time.Duration      // of memberships, where the provider says nothing; 0: none
	Organization      *saml.Organization // nil: this cloud's metadata names nobody
	Providers         []Provider
}

// Provider is how one protocol of one identity provider is spoken.
type Provider struct {
	ProviderID, ProtocolID string
	OIDC                   *oidc.Config // nil: it speaks SAML
	Metadata               string       // file of a SAML provider's metadata, read at each change
}

// setup is a party that can be spoken with.
type setup struct {
	oidc *oidc.Provider
	saml *metadata
}

func (s *Service) setUp(list []Provider) map[party]*setup {
	out := make(map[party]*setup, len(list))
	for _, p := range list {
		one := &setup{}
		if p.OIDC != nil {
			one.oidc = oidc.New(*p.OIDC)
		} else {
			one.saml = &metadata{path: p.Metadata}
		}
		out[party{p.ProviderID, p.ProtocolID}] = one
	}
	return out
}

var errNotSetUp = errors.New("the provider is not in the operator's settings")

// spoken finds out how to speak with a party. NotFound: the API does not know it.
// Forbidden: it is disabled. Unauthenticated: it is not in the operator's settings.
func (s *Service) spoken(ctx context.Context, p party) (*setup, error) {
	if _, _, err := s.known(ctx, p); err != nil {
		return nil, err
	}
	one, ok := s.setups[p]
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "The identity provider %s cannot be asked by %s: the operator of this cloud has not said how.", p.provider, p.protocol).Because(errNotSetUp)
	}
	return one, nil
}

// with lists the parties that speak a protocol, in order of their names.
func (s *Service) with(protocol string) []party {
	var out []party
	for p := range s.setups {
		if p.protocol == protocol {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b party) int { return strings.Compare(a.provider, b.provider) })
	return out
}

// trusted tells whether tokens may go to an address.
func (s *Service) trusted(origin string) bool {
	return slices.Contains(s.Options.TrustedDashboards, origin)
}

// metadata is what a provider says of itself, in a file that the operator may replace.
type metadata struct {
	path string
	kept guarded[*saml.Provider]
}

// provider reads the file when it has changed. Unavailable: it cannot be read.
func (m *metadata) provider() (*saml.Provider, error) {
	info, err := os.Stat(m.path)
	if err != nil {
		return nil, unreadable(err)
	}
	return m.kept.get(fmt.Sprint(info.ModTime().UnixNano(), info.Size()), func() (*saml.Provider, error) {
		text, err := os.ReadFile(m.path)
		if err != nil {
			return nil, unreadable(err)
		}
		p, err := saml.ParseProvider(text)
		if err != nil {
			return nil, unreadable(err)
		}
		return p, nil
	})
}

func unreadable(err error) error {
	return fault.Unavailablef("The metadata of the identity provider cannot be read.").Because(err)
}
