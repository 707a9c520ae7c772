package saml

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/fault"
)

// Skew is how far the clocks of the two sides may differ.
const Skew = 3 * time.Minute

// Assertion is what an identity provider says of somebody. An AttributeValue is
// kept as it was written, white space too.
type Assertion struct {
	ID           string
	Issuer       string
	NameID       string // empty: the provider gives attributes only
	SessionIndex string
	NotOnOrAfter time.Time // it is believed no longer, Skew apart

	// Attributes holds the values by Name, and by FriendlyName where no attribute
	// has it as its Name.
	Attributes map[string][]string
}

var (
	errResponse  = errors.New("no response of SAML 2.0")
	errSOAP      = errors.New("no SOAP envelope with one response")
	errNoEntity  = errors.New("the provider has no keys")
	errUnsigned  = errors.New("neither response nor assertion is signed")
	errAssertion = errors.New("not exactly one assertion where it belongs")
	errMisplaced = errors.New("a signature that is not of the response or the assertion")
	errSameID    = errors.New("an identifier occurs twice")
)

func refused(why error) error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.").Because(why)
}

// DecodeResponse opens the SAMLResponse field of a form. Unauthenticated when it
// is not base64 or too large.
func DecodeResponse(field string) ([]byte, error) {
	if len(field) > MaxDocument*3/2 {
		return nil, refused(errSize)
	}
	doc, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(field), ""))
	if err != nil {
		return nil, refused(err)
	}
	return doc, nil
}

// Verify checks a samlp:Response. requestIDs are those of the requests that it
// may answer; nil takes one that nobody asked for, as Keystone-to-Keystone sends
// it, and no other. Everything that fails is Unauthenticated.
func (s *Service) Verify(p *Provider, response []byte, requestIDs []string, now time.Time) (*Assertion, error) {
	root, err := read(response, false)
	var a *Assertion
	if err == nil {
		a, err = (&answer{s, p, requestIDs, now}).verify(root, root)
	}
	if err != nil {
		return nil, refused(err)
	}
	return a, nil
}

// VerifyECP is Verify for a response in a SOAP envelope, and gives the relay
// state beside it: no signature covers that.
func (s *Service) VerifyECP(p *Provider, soap []byte, requestIDs []string, now time.Time) (*Assertion, string, error) {
	root, err := read(soap, false)
	var body *etree.Element
	var state string
	if err == nil {
		body, state, err = open(root)
	}
	var a *Assertion
	if err == nil {
		a, err = (&answer{s, p, requestIDs, now}).verify(root, body)
	}
	if err != nil {
		return nil, "", refused(err)
	}
	return a, state, nil
}

// RelayState is the relay state of a SOAP envelope that nobody has verified: by
// it a caller finds the request that was answered. Unauthenticated when the
// envelope is none.
func RelayState(soap []byte) (string, error) {
	root, err := read(soap, false)
	var state string
	if err == nil {
		_, state, err = open(root)
	}
	if err != nil {
		return "", refused(err)
	}
	return state, nil
}

// open gives the message in a SOAP envelope and its relay state.
func open(root *etree.Element) (message *etree.Element, relayState string, err error) {
	if !is(root, nsSOAP, "Envelope") {
		return nil, "", errSOAP
	}
	header, err := optional(root, nsSOAP, "Header")
	if err != nil {
		return nil, "", err
	}
	if header != nil {
		state, err := optional(header, nsECP, "RelayState")
		if err != nil {
			return nil, "", err
		}
		if state != nil {
			if relayState, err = text(state); err != nil {
				return nil, "", err
			}
		}
	}
	body, err := one(root, nsSOAP, "Body")
	if err != nil {
		return nil, "", err
	}
	if c := body.ChildElements(); len(c) == 1 {
		return c[0], relayState, nil
	}
	return nil, "", errSOAP
}

// answer is what a response is verified against.
type answer struct {
	service  *Service
	provider *Provider
	requests []string // nil: none
	now      time.Time
}

// verify checks a response inside its document.
func (a *answer) verify(document, response *etree.Element) (*Assertion, error) {
	if a.provider.EntityID == "" || len(a.provider.Certificates) == 0 {
		return nil, errNoEntity
	}
	if !is(response, nsProtocol, "Response") || attr(response, "Version") != version {
		return nil, errResponse
	}
	if err := success(response); err != nil { // first: such a response has nothing else in it
		return nil, err
	}
	if err := layout(document, response); err != nil {
		return nil, err
	}
	whole, err := a.whole(response)
	if err != nil {
		return nil, err
	}
	if whole != nil {
		response = whole
	}
	if err := a.addressed(response); err != nil {
		return nil, err
	}
	assertion, err := a.assertion(document, whole)
	if err != nil {
		return nil, err
	}
	return a.believe(assertion)
}

// whole is the response as it was signed, or nil when only the assertion is.
func (a *answer) whole(response *etree.Element) (*etree.Element, error) {
	if len(children(response, nsSignature, "Signature")) == 0 {
		return nil, nil
	}
	whole, err := signed(response, a.provider.Certificates)
	if err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	if !is(whole, nsProtocol, "Response") {
		return nil, errResponse
	}
	return whole, success(whole)
}

// assertion is the one assertion as it was signed, by itself or as part of the
// whole response. One that is signed is checked even in a signed response.
func (a *answer) assertion(document, whole *etree.Element) (*etree.Element, error) {
	e, encrypted := find(document)
	if encrypted {
		if whole == nil {
			return nil, errOpenOnly
		}
		sealed, err := one(whole, nsAssertion, "EncryptedAssertion")
		if err != nil {
			return nil, err
		}
		if e, err = decrypt(sealed, a.service.Key); err != nil {
			return nil, fmt.Errorf("encrypted assertion: %w", err)
		}
		if err := layout(e, nil); err != nil {
			return nil, fmt.Errorf("encrypted assertion: %w", err)
		}
	}
	switch {
	case len(children(e, nsSignature, "Signature")) > 0:
		verified, err := signed(e, a.provider.Certificates)
		if err == nil && !is(verified, nsAssertion, "Assertion") {
			err = errAssertion
		}
		if err != nil {
			return nil, fmt.Errorf("assertion: %w", err)
		}
		return verified, nil
	case whole == nil:
		return nil, errUnsigned
	case encrypted:
		return e, nil
	}
	return one(whole, nsAssertion, "Assertion")
}

// find gives the only assertion of a document that layout has passed.
func find(document *etree.Element) (assertion *etree.Element, encrypted bool) {
	_ = walk(document, func(e *etree.Element) error { // visiting cannot fail
		if plain := is(e, nsAssertion, "Assertion"); plain || is(e, nsAssertion, "EncryptedAssertion") {
			assertion, encrypted = e, !plain
		}
		return nil
	})
	return assertion, encrypted
}

// layout refuses a document in which it could be in doubt what is signed and
// what is meant: one assertion, in the response; signatures of these two, in
// them; no identifier twice. Without a response the document is the assertion.
func layout(document, response *etree.Element) error {
	assertions, ids := 0, map[string]bool{}
	signatures := map[*etree.Element]bool{}
	err := walk(document, func(e *etree.Element) error {
		for _, a := range e.Attr {
			if a.Space != "" && a.Space != "xml" || !strings.EqualFold(a.Key, "id") {
				continue
			}
			if ids[a.Value] {
				return errSameID
			}
			ids[a.Value] = true
		}
		parent := e.Parent()
		switch {
		case is(e, nsAssertion, "Assertion"), is(e, nsAssertion, "EncryptedAssertion"):
			assertions++
			if assertions > 1 || response != nil && parent != response || response == nil && e != document {
				return errAssertion
			}
		case is(e, nsProtocol, "Response") && e != response:
			return errResponse
		case is(e, nsSignature, "Signature"):
			of := parent == response || is(parent, nsAssertion, "Assertion")
			if !of || signatures[parent] {
				return errMisplaced
			}
			signatures[parent] = true
		}
		return nil
	})
	if err == nil && assertions != 1 {
		err = errAssertion
	}
	return err
}
