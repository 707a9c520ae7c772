package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/fault"
)

const (
	minKeyBits     = 2048
	maxCertificate = 8
)

// Provider is an identity provider, as its metadata describes it.
type Provider struct {
	EntityID     string
	Certificates []*x509.Certificate // of the keys that it signs with, one at least

	// Where requests go, by binding; empty where it does not speak the binding.
	RedirectURL, PostURL, SOAPURL string
}

var (
	errNoProvider = errors.New("metadata describes no identity provider of SAML 2.0")
	errNoSigning  = errors.New("no certificate of an RSA key for signing")
	errWeakKey    = fmt.Errorf("an RSA key of fewer than %d bits", minKeyBits)
)

// ParseProvider reads metadata that an operator has vouched for: its signature
// and its validUntil are not looked at. It may be an EntityDescriptor, or an
// EntitiesDescriptor with one identity provider. Keys other than RSA are passed
// over. Upstream Keystone's has no
// address that requests could go to, which is no error: it needs none. Invalid
// with the reason in the text when it cannot be used.
func ParseProvider(metadata []byte) (*Provider, error) {
	root, err := read(metadata, true)
	var p *Provider
	if err == nil {
		p, err = provider(root)
	}
	if err != nil {
		return nil, fault.Invalidf("Metadata of the identity provider: %v.", err).Because(err)
	}
	return p, nil
}

func provider(root *etree.Element) (*Provider, error) {
	var found []*etree.Element
	err := walk(root, func(e *etree.Element) error {
		if is(e, nsMetadata, "IDPSSODescriptor") && slices.Contains(strings.Fields(attr(e, "protocolSupportEnumeration")), nsProtocol) {
			found = append(found, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("metadata describes %d identity providers", len(found))
	}
	if len(found) == 0 || !is(found[0].Parent(), nsMetadata, "EntityDescriptor") {
		return nil, errNoProvider
	}
	p := &Provider{EntityID: attr(found[0].Parent(), "entityID")}
	if p.EntityID == "" {
		return nil, errNoProvider
	}
	if err := p.endpoints(found[0]); err != nil {
		return nil, err
	}
	return p, p.keys(found[0])
}

func (p *Provider) endpoints(descriptor *etree.Element) error {
	for _, e := range children(descriptor, nsMetadata, "SingleSignOnService") {
		var into *string
		switch attr(e, "Binding") {
		case bindingRedirect:
			into = &p.RedirectURL
		case bindingPost:
			into = &p.PostURL
		case bindingSOAP:
			into = &p.SOAPURL
		default:
			continue
		}
		location := attr(e, "Location")
		u, err := url.Parse(location)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" { // browsers are sent there
			return fmt.Errorf("%q is no address for requests", location)
		}
		if *into == "" {
			*into = location
		}
	}
	return nil
}

func (p *Provider) keys(descriptor *etree.Element) error {
	for _, k := range children(descriptor, nsMetadata, "KeyDescriptor") {
		if use := attr(k, "use"); use != "" && use != "signing" {
			continue
		}
		err := walk(k, func(e *etree.Element) error {
			if !is(e, nsSignature, "X509Certificate") {
				return nil
			}
			c, err := certificate(e)
			if err == nil && c.PublicKeyAlgorithm == x509.RSA {
				p.Certificates = append(p.Certificates, c)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	switch n := len(p.Certificates); {
	case n == 0:
		return errNoSigning
	case n > maxCertificate: // each is tried on each signature
		return fmt.Errorf("%d certificates for signing, at most %d", n, maxCertificate)
	}
	return nil
}

func certificate(e *etree.Element) (*x509.Certificate, error) {
	s, err := text(e)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minKeyBits {
		return nil, errWeakKey
	}
	return c, nil
}
