package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Service is this cloud as the service provider of one identity provider and
// protocol. Nothing in it changes: safe for concurrent use.
type Service struct {
	EntityID    string
	ACS         string // where answers arrive, by POST of a form and by PAOS
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate // of Key
}

// Target is where a browser carries a request to.
type Target struct {
	URL  string
	Form url.Values // fields to POST to URL; nil: URL is to be followed
}

// Metadata describes the service to identity providers. It does not change as
// long as the service does not.
func (s *Service) Metadata() ([]byte, error) {
	root := element("md:EntityDescriptor", "xmlns:md", nsMetadata, "xmlns:ds", nsSignature, "entityID", s.EntityID)
	d := add(root, "md:SPSSODescriptor", "AuthnRequestsSigned", "true", "WantAssertionsSigned", "true", "protocolSupportEnumeration", nsProtocol)
	addKey(d, "signing", s.Certificate)
	k := addKey(d, "encryption", s.Certificate)
	for _, method := range offered {
		add(k, "md:EncryptionMethod", "Algorithm", method)
	}
	for _, format := range []string{"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", formatTransient,
		"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"} {
		addText(d, "md:NameIDFormat", format)
	}
	add(d, "md:AssertionConsumerService", "Binding", bindingPost, "Location", s.ACS, "index", "0", "isDefault", "true")
	add(d, "md:AssertionConsumerService", "Binding", bindingPAOS, "Location", s.ACS, "index", "1")
	return write(root)
}

func addKey(descriptor *etree.Element, use string, cert *x509.Certificate) *etree.Element {
	k := add(descriptor, "md:KeyDescriptor", "use", use)
	addText(add(add(k, "ds:KeyInfo"), "ds:X509Data"), "ds:X509Certificate", base64.StdEncoding.EncodeToString(cert.Raw))
	return k
}

// Request asks the provider, by way of a browser, who its user is. relayState
// comes back beside the answer, unsigned: providers may cut it after 80 bytes.
// The identifier of the request is what the answer must name. Conflict when the
// provider takes no requests from browsers.
func (s *Service) Request(p *Provider, relayState string, now time.Time) (Target, string, error) {
	to := p.RedirectURL
	if to == "" {
		to = p.PostURL
	}
	if to == "" {
		return Target{}, "", fault.Conflictf("The identity provider takes no requests from browsers.")
	}
	request := s.request(bindingPost, to, now)
	requestID := attr(request, "ID")
	if p.RedirectURL != "" {
		u, err := s.redirect(to, request, relayState)
		return Target{URL: u}, requestID, err
	}
	if err := sign(request, s.Key, s.Certificate); err != nil {
		return Target{}, "", err
	}
	doc, err := write(request)
	if err != nil {
		return Target{}, "", err
	}
	form := url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(doc)}}
	if relayState != "" {
		form.Set("RelayState", relayState)
	}
	return Target{URL: to, Form: form}, requestID, nil
}

// request makes an AuthnRequest whose answer is to arrive by a binding.
func (s *Service) request(binding, to string, now time.Time) *etree.Element {
	e := element("samlp:AuthnRequest", "xmlns:samlp", nsProtocol, "xmlns:saml", nsAssertion, "ID", "_"+id.Hex(), "Version", version, "IssueInstant", instant(now),
		"AssertionConsumerServiceURL", s.ACS, "ProtocolBinding", binding)
	if to != "" {
		e.CreateAttr("Destination", to)
	}
	addText(e, "saml:Issuer", s.EntityID)
	add(e, "samlp:NameIDPolicy", "AllowCreate", "true")
	return e
}

// redirect is the address that carries a request in its query: compressed, and
// signed as the query is spelled.
func (s *Service) redirect(to string, request *etree.Element, relayState string) (string, error) {
	doc, err := write(request)
	if err != nil {
		return "", err
	}
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestCompression)
	if err != nil {
		return "", fmt.Errorf("compress request: %w", err)
	}
	if _, err = w.Write(doc); err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress request: %w", err)
	}
	query := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(small.Bytes()))
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	query += "&SigAlg=" + url.QueryEscape(algRSASHA256)
	digest := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(random{}, s.Key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign request: %w", err)
	}
	query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return to + separator + query, nil
}

// ECPRequest asks a client that talks to the provider by itself (ECP) who its
// user is: a SOAP envelope, to be sent as PAOSType. No Destination: the client
// chooses whom it asks. relayState makes what comes back beside the answer, out of
// the identifier that the answer must name.
func (s *Service) ECPRequest(relayState func(requestID string) (string, error), now time.Time) (soap []byte, err error) {
	request := s.request(bindingPAOS, "", now)
	state, err := relayState(attr(request, "ID"))
	if err != nil {
		return nil, err
	}
	if err := sign(request, s.Key, s.Certificate); err != nil {
		return nil, err
	}
	root, header := envelope(request)
	add(header, "paos:Request", "xmlns:paos", nsPAOS, "S:mustUnderstand", "1", "S:actor", actorNext, "responseConsumerURL", s.ACS, "service", nsECP)
	ask := add(header, "ecp:Request", "xmlns:ecp", nsECP, "xmlns:saml", nsAssertion, "S:mustUnderstand", "1", "S:actor", actorNext, "IsPassive", "false")
	addText(ask, "saml:Issuer", s.EntityID)
	addText(header, "ecp:RelayState", state, "xmlns:ecp", nsECP, "S:mustUnderstand", "1", "S:actor", actorNext)
	return write(root)
}

// envelope puts a message into SOAP.
func envelope(message *etree.Element) (root, header *etree.Element) {
	root = element("S:Envelope", "xmlns:S", nsSOAP)
	header = add(root, "S:Header")
	add(root, "S:Body").AddChild(message)
	return root, header
}
