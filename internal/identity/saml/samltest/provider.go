package samltest

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

const (
	bindingSOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"
	bearer      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	entity      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	life        = 5 * time.Minute // of what it says
)

// User is somebody whom the provider knows. The name identifier is the name.
type User struct {
	Name, Password string
	Attributes     map[string][]string // by Name
}

// Provider is the identity provider. Safe for concurrent use.
type Provider struct {
	URL   string // its entity identifier is URL/metadata
	clock clock.Clock
	idp   *saml.IdentityProvider
	users map[string]User

	mu       sync.Mutex
	services map[string]*saml.EntityDescriptor
}

var errUnknownService = errors.New("unknown service provider")

// Start serves a provider with a new key until the test ends.
func Start(t testing.TB, clk clock.Clock, users ...User) *Provider {
	t.Helper()
	p := &Provider{clock: clk, users: map[string]User{}, services: map[string]*saml.EntityDescriptor{}}
	for _, u := range users {
		p.users[u.Name] = u
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	if err := p.prepare(server.URL, clk.Now()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Provider) prepare(address string, now time.Time) error {
	base, err := url.Parse(address)
	if err != nil {
		return err
	}
	key, cert, err := newKey(now)
	if err != nil {
		return err
	}
	p.URL = address
	p.idp = &saml.IdentityProvider{
		Key: key, Certificate: cert, SignatureMethod: dsig.RSASHA256SignatureMethod,
		MetadataURL: *base.JoinPath("metadata"), SSOURL: *base.JoinPath("sso"), ServiceProviderProvider: p,
	}
	return nil
}

// Metadata describes the provider.
func (p *Provider) Metadata() ([]byte, error) {
	m := p.idp.Metadata()
	m.IDPSSODescriptors[0].SingleSignOnServices = append(m.IDPSSODescriptors[0].SingleSignOnServices,
		saml.Endpoint{Binding: bindingSOAP, Location: p.ECPURL()})
	return xml.Marshal(m)
}

// EntityID names the provider.
func (p *Provider) EntityID() string { return p.URL + "/metadata" }

// ECPURL is what keystoneauth calls identity_provider_url.
func (p *Provider) ECPURL() string { return p.URL + "/ecp" }

// Certificate is of the key that the provider signs with, in PEM.
func (p *Provider) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.idp.Certificate.Raw})
}

// Trust makes a service provider known by its metadata.
func (p *Provider) Trust(metadata []byte) error {
	var d saml.EntityDescriptor
	if err := xml.Unmarshal(metadata, &d); err != nil {
		return fmt.Errorf("metadata of the service provider: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.services[d.EntityID] = &d
	return nil
}

// GetServiceProvider finds one that is trusted; crewjam/saml calls it.
func (p *Provider) GetServiceProvider(_ *http.Request, entityID string) (*saml.EntityDescriptor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.services[entityID]; d != nil {
		return d, nil
	}
	return nil, errUnknownService
}

// assertion is what the provider says of a user in answer to a request.
func (p *Provider) assertion(req *saml.IdpAuthnRequest, u User) *saml.Assertion {
	now := req.Now
	var list []saml.Attribute
	for name, values := range u.Attributes {
		a := saml.Attribute{Name: name, NameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"}
		for _, v := range values {
			a.Values = append(a.Values, saml.AttributeValue{Type: "xs:string", Value: v})
		}
		list = append(list, a)
	}
	return &saml.Assertion{
		ID: "_" + id.Hex(), IssueInstant: now, Version: "2.0", Issuer: saml.Issuer{Format: entity, Value: p.EntityID()},
		Subject: &saml.Subject{
			NameID: &saml.NameID{Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", Value: u.Name},
			SubjectConfirmations: []saml.SubjectConfirmation{{Method: bearer, SubjectConfirmationData: &saml.SubjectConfirmationData{
				InResponseTo: req.Request.ID, NotOnOrAfter: now.Add(life), Recipient: req.ACSEndpoint.Location}}},
		},
		Conditions: &saml.Conditions{NotBefore: now, NotOnOrAfter: now.Add(life),
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: req.ServiceProviderMetadata.EntityID}}}},
		AuthnStatements: []saml.AuthnStatement{{AuthnInstant: now, SessionIndex: id.Hex(), AuthnContext: saml.AuthnContext{
			AuthnContextClassRef: &saml.AuthnContextClassRef{Value: "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"}}}},
		AttributeStatements: []saml.AttributeStatement{{Attributes: list}},
	}
}

// signer is the certificate by which a service's requests are checked.
func signer(d *saml.EntityDescriptor) (*x509.Certificate, error) {
	for _, s := range d.SPSSODescriptors {
		for _, k := range s.KeyDescriptors {
			if k.Use == "encryption" || len(k.KeyInfo.X509Data.X509Certificates) == 0 {
				continue
			}
			block, _ := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + k.KeyInfo.X509Data.X509Certificates[0].Data + "\n-----END CERTIFICATE-----\n"))
			if block == nil {
				return nil, errNoSigner
			}
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errNoSigner
}

var errNoSigner = errors.New("the service provider has no certificate for signing")

// checkQuery checks the signature of a request in a query, which is over the
// query as it was spelled.
func checkQuery(cert *x509.Certificate, signedPart string, signature []byte) error {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errNoSigner
	}
	h := crypto.SHA256.New()
	if _, err := h.Write([]byte(signedPart)); err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, h.Sum(nil), signature)
}
