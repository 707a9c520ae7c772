package saml

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

const corporate = `<?xml version="1.0"?><!-- of the operator -->
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://login.example.org/idp">
 <md:IDPSSODescriptor protocolSupportEnumeration="urn:mace:shibboleth:1.0 urn:oasis:names:tc:SAML:2.0:protocol">
  <md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>
CERT</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
  <md:KeyDescriptor use="encryption"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>OTHER</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
  <md:SingleSignOnService Binding="urn:mace:shibboleth:1.0:profiles:AuthnRequest" Location="https://login.example.org/old"/>
  <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://login.example.org/redirect"/>
  <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://login.example.org/post"/>
  <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://login.example.org/ecp"/>
 </md:IDPSSODescriptor>
</md:EntityDescriptor>`

func described() string {
	lines := strings.Builder{}
	for i, r := range base64.StdEncoding.EncodeToString(theirs().cert.Raw) { // as programs print it
		if i%64 == 63 {
			lines.WriteByte('\n')
		}
		lines.WriteRune(r)
	}
	return strings.NewReplacer("CERT", lines.String(), "OTHER", base64.StdEncoding.EncodeToString(strange().cert.Raw)).Replace(corporate)
}

func TestParseProvider(t *testing.T) {
	one := described()
	entity := one[strings.Index(one, "<md:Entity"):]
	many := func(s string) string {
		return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + s + `</md:EntitiesDescriptor>`
	}
	other := `<md:EntityDescriptor entityID="x"><md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>`
	for name, doc := range map[string]string{"one": one, "among others": many(other + entity)} {
		p, err := ParseProvider([]byte(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.EntityID != theProvider || p.RedirectURL != "https://login.example.org/redirect" || p.PostURL != "https://login.example.org/post" || p.SOAPURL != "https://login.example.org/ecp" {
			t.Errorf("%s: %+v", name, p)
		}
		if len(p.Certificates) != 1 || !p.Certificates[0].Equal(theirs().cert) {
			t.Errorf("%s: %d certificates", name, len(p.Certificates))
		}
	}
	for name, bad := range map[string]string{
		"two providers":      many(entity + entity),
		"no provider":        many(other),
		"no identifier":      replaced(` entityID="https://login.example.org/idp"`, "")(one),
		"SAML 1 only":        replaced("urn:oasis:names:tc:SAML:2.0:protocol", "urn:x")(one),
		"no key":             replaced(`use="signing"`, `use="encryption"`)(one),
		"no certificate":     replaced("MII", "AAA")(one),
		"a script":           replaced("https://login.example.org/redirect", "javascript:alert(1)")(one),
		"no address":         replaced("https://login.example.org/post", "/post")(one),
		"a DTD":              `<!DOCTYPE a>` + entity,
		"too many keys":      strings.Replace(entity, "<md:Single", strings.Repeat(entity[strings.Index(entity, "<md:KeyD"):strings.Index(entity, "</md:KeyD")]+"</md:KeyDescriptor>", maxCertificate)+"<md:Single", 1),
		"empty":              "",
		"a descriptor alone": `<md:IDPSSODescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>`,
	} {
		if p, err := ParseProvider([]byte(bad)); p != nil || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestKeyPairs(t *testing.T) {
	p, other := strange(), newPair()
	c := p.cert
	if c.NotAfter.Sub(theNow) != keyLife || !c.NotBefore.Before(theNow) || p.key.N.BitLen() != keyBits || c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
		t.Errorf("from %v to %v, %d bits", c.NotBefore, c.NotAfter, p.key.N.BitLen())
	}
	for name, bad := range map[string][2][]byte{
		"another's": {p.certPEM, other.keyPEM}, "no PEM": {[]byte("x"), p.keyPEM}, "no key": {p.certPEM, nil},
		"a certificate as key": {p.certPEM, p.certPEM}, "a key as certificate": {p.keyPEM, p.keyPEM},
	} {
		if _, _, err := ParseKeyPair(bad[0], bad[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
