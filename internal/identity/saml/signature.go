package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

var (
	signatureMethods = []string{algRSASHA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"}
	digestMethods    = []string{nsEncrypt + "sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", nsEncrypt + "sha512"}
	exclusive        = []string{algExclusive, algExclusiveComments}
)

var (
	errNoKey     = errors.New("no key of the provider made this signature")
	errReference = errors.New("the signature is not of the element it stands in")
	errSignature = errors.New("a signature holds what signatures do not need")
)

// signed checks the signature that stands in an element and is of it, and gives
// the element as it was signed: read again from the very bytes of the digest.
// Nothing else of the document may be believed.
func signed(e *etree.Element, keys []*x509.Certificate) (*etree.Element, error) {
	if err := enveloped(e); err != nil {
		return nil, err
	}
	around, err := etreeutils.NSBuildParentContext(e)
	if err != nil {
		return nil, fmt.Errorf("namespaces: %w", err)
	}
	alone, err := etreeutils.NSDetatch(around, e)
	if err != nil {
		return nil, fmt.Errorf("namespaces: %w", err)
	}
	// What the signature says of its key is no part of what is signed. Without it
	// the verifier takes the only certificate it is given.
	for _, s := range children(alone, nsSignature, "Signature") {
		for _, k := range children(s, nsSignature, "KeyInfo") {
			s.RemoveChild(k)
		}
	}
	failures := []error{errNoKey}
	for _, c := range keys {
		v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		v.Clock = dsig.NewFakeClockAt(c.NotBefore) // its dates do not matter, see doc.go
		verified, err := v.Validate(alone)
		if err == nil {
			return verified, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// enveloped checks that an element's signature is one, of this element whole,
// by algorithms that are still good.
func enveloped(e *etree.Element) error {
	s, err := one(e, nsSignature, "Signature")
	if err != nil {
		return err
	}
	for _, c := range s.ChildElements() {
		if !is(c, nsSignature, "SignedInfo") && !is(c, nsSignature, "SignatureValue") && !is(c, nsSignature, "KeyInfo") {
			return errSignature
		}
	}
	info, err := one(s, nsSignature, "SignedInfo")
	if err != nil {
		return err
	}
	if err := algorithm(info, "CanonicalizationMethod", exclusive); err != nil {
		return err
	}
	if err := algorithm(info, "SignatureMethod", signatureMethods); err != nil {
		return err
	}
	reference, err := one(info, nsSignature, "Reference")
	if err != nil {
		return err
	}
	id := attr(e, "ID")
	if id == "" || attr(reference, "URI") != "#"+id {
		return errReference
	}
	if err := algorithm(reference, "DigestMethod", digestMethods); err != nil {
		return err
	}
	return transforms(reference)
}

// transforms checks that nothing but the signature itself is left out.
func transforms(reference *etree.Element) error {
	list, err := one(reference, nsSignature, "Transforms")
	if err != nil {
		return err
	}
	var names []string
	for _, t := range list.ChildElements() {
		if !is(t, nsSignature, "Transform") {
			return errSignature
		}
		names = append(names, attr(t, "Algorithm"))
	}
	if len(names) != 2 || names[0] != algEnveloped || !slices.Contains(exclusive, names[1]) {
		return fmt.Errorf("transforms %q are refused", names)
	}
	return nil
}

func algorithm(e *etree.Element, tag string, allowed []string) error {
	m, err := one(e, nsSignature, tag)
	if err != nil {
		return err
	}
	if name := attr(m, "Algorithm"); !slices.Contains(allowed, name) {
		return fmt.Errorf("%s %q is refused", tag, name)
	}
	return nil
}

// sign puts a signature behind the element's issuer, where the schema wants it.
func sign(e *etree.Element, key *rsa.PrivateKey, cert *x509.Certificate) error {
	s, err := dsig.NewSigningContext(key, [][]byte{cert.Raw})
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	s.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := s.SetSignatureMethod(algRSASHA256); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	// A copy: making it canonical drops declarations of prefixes that only values use.
	signature, err := s.ConstructSignature(e.Copy(), true)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	e.InsertChildAt(1, signature)
	return nil
}
