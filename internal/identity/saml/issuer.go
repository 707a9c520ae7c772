package saml

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Issuer is this cloud as the identity provider of Keystone-to-Keystone. Nothing
// in it changes: safe for concurrent use.
type Issuer struct {
	EntityID    string
	SSOURL      string
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate // of Key
	Language    string            // of Organization's names, as xml:lang writes it

	Organization *Organization // nil: metadata has none
	Contact      *Contact      // nil: metadata has none
}

// Organization is who runs the cloud.
type Organization struct{ Name, DisplayName, URL string }

// Contact is whom to ask about the cloud. Type is technical, support,
// administrative, billing or other.
type Contact struct{ Company, GivenName, Surname, Email, Telephone, Type string }

// Statement is what an assertion says: all are names.
type Statement struct {
	User, UserDomain       string
	Roles                  []string
	Project, ProjectDomain string
	Groups                 []Group
	Recipient              string // sp_url of the service provider
	Lifetime               time.Duration
}

// Group is a group by name.
type Group struct{ Name, Domain string }

// Metadata is what GET /v3/OS-FEDERATION/saml2/metadata shows.
func (i *Issuer) Metadata() ([]byte, error) {
	root := element("md:EntityDescriptor", "xmlns:md", nsMetadata, "xmlns:ds", nsSignature, "entityID", i.EntityID)
	d := add(root, "md:IDPSSODescriptor", "protocolSupportEnumeration", nsProtocol)
	addKey(d, "signing", i.Certificate)
	if o := i.Organization; o != nil {
		e := add(d, "md:Organization")
		addText(e, "md:OrganizationName", o.Name, "xml:lang", i.Language)
		addText(e, "md:OrganizationDisplayName", o.DisplayName, "xml:lang", i.Language)
		addText(e, "md:OrganizationURL", o.URL, "xml:lang", i.Language)
	}
	if c := i.Contact; c != nil {
		e := add(d, "md:ContactPerson", "contactType", c.Type)
		addText(e, "md:Company", c.Company)
		addText(e, "md:GivenName", c.GivenName)
		addText(e, "md:SurName", c.Surname)
		addText(e, "md:EmailAddress", c.Email)
		addText(e, "md:TelephoneNumber", c.Telephone)
	}
	addText(d, "md:NameIDFormat", formatTransient)
	add(d, "md:SingleSignOnService", "Binding", bindingURI, "Location", i.SSOURL)
	return write(root)
}

// Assertion makes a samlp:Response with a signed assertion, as POST
// /v3/auth/OS-FEDERATION/saml2 answers, and gives the assertion's identifier.
// Invalid when a name holds characters that XML does not.
func (i *Issuer) Assertion(s Statement, now time.Time) (response []byte, assertionID string, err error) {
	groups := make([]string, 0, len(s.Groups))
	for _, g := range s.Groups {
		groups = append(groups, g.say())
	}
	attributes := []struct {
		name   string
		values []string
	}{
		{"openstack_user", []string{s.User}}, {"openstack_roles", s.Roles}, {"openstack_project", []string{s.Project}},
		{"openstack_project_domain", []string{s.ProjectDomain}}, {"openstack_user_domain", []string{s.UserDomain}}, {"openstack_groups", groups},
	}
	end := instantMicros(now.Add(s.Lifetime))
	assertionID = "_" + id.Hex()
	a := element("saml:Assertion", "xmlns:saml", nsAssertion, "xmlns:xs", nsSchema, "xmlns:xsi", nsInstance, "ID", assertionID, "IssueInstant", instant(now), "Version", version)
	addText(a, "saml:Issuer", i.EntityID, "Format", formatEntity)
	i.subject(a, s, end)
	i.authentication(a, end, now)
	list := add(a, "saml:AttributeStatement")
	for _, at := range attributes {
		if err := sayable(at.values...); err != nil {
			return nil, "", fault.Invalidf("%s cannot be said in XML.", at.name).Because(err)
		}
		if at.name == "openstack_groups" && len(at.values) == 0 {
			continue
		}
		e := add(list, "saml:Attribute", "Name", at.name)
		for _, v := range at.values {
			addText(e, "saml:AttributeValue", v, "xsi:type", "xs:string")
		}
	}
	if err := sign(a, i.Key, i.Certificate); err != nil {
		return nil, "", err
	}
	r := element("samlp:Response", "xmlns:samlp", nsProtocol, "xmlns:saml", nsAssertion, "Destination", s.Recipient, "ID", "_"+id.Hex(), "IssueInstant", instant(now), "Version", version)
	addText(r, "saml:Issuer", i.EntityID, "Format", formatEntity)
	add(add(r, "samlp:Status"), "samlp:StatusCode", "Value", statusSuccess)
	r.AddChild(a)
	response, err = write(r)
	return response, assertionID, err
}

func (i *Issuer) subject(assertion *etree.Element, s Statement, end string) {
	e := add(assertion, "saml:Subject")
	addText(e, "saml:NameID", s.User)
	c := add(e, "saml:SubjectConfirmation", "Method", methodBearer)
	add(c, "saml:SubjectConfirmationData", "NotOnOrAfter", end, "Recipient", s.Recipient)
}

func (i *Issuer) authentication(assertion *etree.Element, end string, now time.Time) {
	e := add(assertion, "saml:AuthnStatement", "AuthnInstant", instant(now), "SessionIndex", id.Hex(), "SessionNotOnOrAfter", end)
	c := add(e, "saml:AuthnContext")
	addText(c, "saml:AuthnContextClassRef", classPassword)
	addText(c, "saml:AuthenticatingAuthority", i.EntityID)
}

// ECP wraps a response of Assertion into SOAP, as POST
// /v3/auth/OS-FEDERATION/saml2/ecp answers: the client sends it on to the
// service provider's sp_url. The relay state is the prefix and a random word.
func (i *Issuer) ECP(response []byte, relayStatePrefix string) ([]byte, error) {
	r, err := read(response, false)
	if err != nil {
		return nil, fmt.Errorf("wrap response: %w", err)
	}
	root, header := envelope(r)
	addText(header, "ecp:RelayState", relayStatePrefix+id.Hex(), "xmlns:ecp", nsECP, "S:mustUnderstand", "1", "S:actor", actorNext)
	return write(root)
}

// say spells a group as Python's json.dumps does, behind the mark that upstream
// puts there.
func (g Group) say() string {
	return `JSON:{"name": ` + quote(g.Name) + `, "domain": {"name": ` + quote(g.Domain) + `}}`
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into memory: cannot fail
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case r < 0x80:
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
