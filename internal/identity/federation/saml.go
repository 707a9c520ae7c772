package federation

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/identity/saml"
)

// apart is how far the clocks of servers of one cloud may differ: one that is ahead
// must not forget what another would still take.
const apart = time.Hour

var errReplayed = errors.New("the assertion was taken before")

// serviceProvider is this cloud as a party knows it.
func (s *Service) serviceProvider(ctx context.Context, p party) (*saml.Service, error) {
	cert, key, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	return &saml.Service{EntityID: s.public(extension + p.tail() + "/metadata"), ACS: s.public(extension + p.tail() + "/auth"), Key: key, Certificate: cert}, nil
}

// sides are a provider that speaks SAML and this cloud as it knows it.
func (s *Service) sides(ctx context.Context, p party, one *setup) (*saml.Provider, *saml.Service, error) {
	provider, err := one.saml.provider()
	if err != nil {
		return nil, nil, err
	}
	sp, err := s.serviceProvider(ctx, p)
	return provider, sp, err
}

// inLine does work for a stranger that costs a signature.
func (s *Service) inLine(ctx context.Context, remote string, work func() error) error {
	if s.Line != nil {
		leave, err := s.Line.Enter(ctx, remote)
		if err != nil {
			return err
		}
		defer leave()
	}
	return work()
}

// askByBrowser makes what a browser carries to a provider, as an address or as a
// form, and notes what the answer has to name.
func (s *Service) askByBrowser(ctx context.Context, p party, one *setup, j *journey) (to string, form url.Values, err error) {
	provider, sp, err := s.sides(ctx, p, one)
	if err != nil {
		return "", nil, err
	}
	target, request, err := sp.Request(provider, j.ID, s.Clock.Now())
	j.RequestID = request
	return target.URL, target.Form, err
}

// taken is what an assertion says, which then is worth nothing more.
func (s *Service) taken(ctx context.Context, a *saml.Assertion) (said, error) {
	fresh := false
	err := s.DB.Write(ctx, func(tx *db.Tx) (err error) {
		fresh, err = s.store.taken(ctx, tx, a.Issuer+" "+a.ID, s.Clock.Now(), a.NotOnOrAfter.Add(saml.Skew+apart))
		return err
	})
	if err != nil {
		return said{}, err
	}
	if !fresh {
		return said{}, refused(errReplayed)
	}
	return ofAssertion(a), nil
}

// ofAssertion is what an identity provider said, under the names that mappings for
// real clouds use: attributes as they are named (Shibboleth's attribute map) and
// behind MELLON_ (mod_auth_mellon), and what both modules say besides.
func ofAssertion(a *saml.Assertion) said {
	claims := make(map[string][]string, 2*len(a.Attributes)+5)
	for name, values := range a.Attributes {
		claims[name], claims["MELLON_"+name] = values, values
	}
	claims["Shib-Identity-Provider"], claims["MELLON_IDP"] = []string{a.Issuer}, []string{a.Issuer}
	delete(claims, "REMOTE_USER") // not for an attribute to say
	delete(claims, "MELLON_NAME_ID")
	if a.NameID != "" {
		claims["REMOTE_USER"], claims["MELLON_NAME_ID"] = []string{a.NameID}, []string{a.NameID}
	}
	return said{a.Issuer, claims}
}
