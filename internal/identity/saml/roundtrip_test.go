package saml_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity/saml"
	"github.com/mekcloud/mek/internal/identity/saml/samltest"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

var alice = samltest.User{Name: "alice", Password: "se cret", Attributes: map[string][]string{"mail": {"alice@example.org"}, "groups": {"staff", "Ærø <&>"}}}

// services are made with one key: making one takes a while.
var newService = sync.OnceValue(func() saml.Service {
	cert, key, err := saml.NewKeyPair(now)
	if err != nil {
		panic(err)
	}
	s := saml.Service{EntityID: "https://cloud.example.org/v3", ACS: "https://cloud.example.org/acs"}
	if s.Certificate, s.Key, err = saml.ParseKeyPair(cert, key); err != nil {
		panic(err)
	}
	return s
})

// meet makes a service and an identity provider that know each other.
func meet(t *testing.T, acs string) (*saml.Service, *saml.Provider, *samltest.Provider) {
	t.Helper()
	idp := samltest.Start(t, clock.NewFake(now), alice)
	s := newService()
	if acs != "" {
		s.ACS = acs
	}
	m, err := s.Metadata()
	must(t, err)
	must(t, idp.Trust(m))
	m, err = idp.Metadata()
	must(t, err)
	p, err := saml.ParseProvider(m)
	must(t, err)
	return &s, p, idp
}

func mustMarshal(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return der
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isAlice(t *testing.T, a *saml.Assertion) {
	t.Helper()
	if a.NameID != "alice" || a.SessionIndex == "" || a.ID == "" || !a.NotOnOrAfter.Equal(now.Add(5*time.Minute)) {
		t.Errorf("read %+v", a)
	}
	if diff := cmp.Diff(alice.Attributes, a.Attributes); diff != "" {
		t.Error(diff)
	}
}

// TestBrowsers signs in by redirect and by form; the answers come encrypted.
func TestBrowsers(t *testing.T) {
	s, both, idp := meet(t, "")
	for name, change := range map[string]func(*saml.Provider){
		"redirect": func(*saml.Provider) {},
		"form":     func(p *saml.Provider) { p.RedirectURL = "" },
	} {
		t.Run(name, func(t *testing.T) {
			p := *both
			change(&p)
			target, requestID, err := s.Request(&p, "state & more", now)
			must(t, err)
			if (target.Form == nil) != (p.RedirectURL != "") {
				t.Fatalf("target %+v", target)
			}
			if _, _, err := idp.Browse(t.Context(), "mallory", target.URL, target.Form); err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("somebody unknown: %v", err)
			}
			action, form, err := idp.Browse(t.Context(), "alice", target.URL, target.Form)
			must(t, err)
			if action != s.ACS || form.Get("RelayState") != "state & more" {
				t.Errorf("to %q with %q", action, form.Get("RelayState"))
			}
			doc, err := saml.DecodeResponse(form.Get("SAMLResponse"))
			must(t, err)
			if !bytes.Contains(doc, []byte("EncryptedAssertion")) || bytes.Contains(doc, []byte("alice")) {
				t.Error("the answer is not encrypted")
			}
			a, err := s.Verify(&p, doc, []string{requestID}, now.Add(time.Minute))
			must(t, err)
			isAlice(t, a)
			for _, wrong := range [][]string{nil, {}, {"_other"}} {
				if _, err := s.Verify(&p, doc, wrong, now); !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("for requests %q: %v", wrong, err)
				}
			}
			if _, err := s.Verify(&p, doc, []string{requestID}, now.Add(time.Hour)); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("an hour later: %v", err)
			}
		})
	}
}

func TestRequestsAreSigned(t *testing.T) {
	s, p, idp := meet(t, "")
	target, _, err := s.Request(p, "state", now)
	must(t, err)
	for name, address := range map[string]string{
		"relay state":  strings.Replace(target.URL, "RelayState=state", "RelayState=other", 1),
		"no signature": target.URL[:strings.Index(target.URL, "&Signature")],
	} {
		if _, _, err := idp.Browse(t.Context(), "alice", address, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	p.RedirectURL = "https://login.example.org/sso?tenant=1"
	if target, _, err := s.Request(p, "", now); err != nil || !strings.HasPrefix(target.URL, p.RedirectURL+"&SAMLRequest=") {
		t.Errorf("to %q, %v", target.URL, err)
	}
	p.RedirectURL = ""
	target, _, err = s.Request(p, "", now)
	must(t, err)
	doc, err := base64.StdEncoding.DecodeString(target.Form.Get("SAMLRequest"))
	must(t, err)
	doc = bytes.Replace(doc, []byte(`ID="_`), []byte(`ID="_0`), 1)
	if _, _, err := idp.Browse(t.Context(), "alice", target.URL, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(doc)}}); err == nil {
		t.Error("a changed form is accepted")
	}
	p.PostURL = ""
	if _, _, err := s.Request(p, "", now); !fault.Is(err, fault.Conflict) {
		t.Errorf("a provider without addresses: %v", err)
	}
}

// TestECP is what a client of ECP does: the request without its header to the
// provider, the answer to the service.
func TestECP(t *testing.T) {
	s, p, idp := meet(t, "")
	soap, requestID, err := asked(s, "ss:mem:1&2", now)
	must(t, err)
	for _, want := range []string{`responseConsumerURL="https://cloud.example.org/acs"`, `service="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"`, ">ss:mem:1&amp;2</ecp:RelayState>"} {
		if !bytes.Contains(soap, []byte(want)) {
			t.Errorf("no %s in %s", want, soap)
		}
	}
	header := soap[bytes.Index(soap, []byte("<S:Header>")) : bytes.Index(soap, []byte("</S:Header>"))+len("</S:Header>")]
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.SOAPURL, bytes.NewReader(bytes.Replace(soap, header, nil, 1)))
	must(t, err)
	answer, err := idp.Send(req, "alice")
	must(t, err)
	begin, end := bytes.Index(answer, []byte("<ecp:Response")), bytes.Index(answer, []byte("</soap11:Header>"))
	answer = slices.Concat(answer[:begin], []byte(`<e:RelayState xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp">ss:mem:1&amp;2</e:RelayState>`), answer[end:])
	if state, err := saml.RelayState(answer); err != nil || state != "ss:mem:1&2" {
		t.Errorf("relay state %q, %v", state, err)
	}
	a, state, err := s.VerifyECP(p, answer, []string{requestID}, now)
	must(t, err)
	isAlice(t, a)
	if state != "ss:mem:1&2" {
		t.Errorf("relay state %q", state)
	}
	for name, bad := range map[string]string{
		"fault":      `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><S:Fault/></S:Body></S:Envelope>`,
		"empty body": `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body/></S:Envelope>`,
		"no body":    `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"/>`,
		"no SOAP":    `<a/>`,
		"two bodies": strings.Replace(string(answer), "<soap11:Body>", "<soap11:Body/><soap11:Body>", 1),
		"two states": strings.Replace(string(answer), "</soap11:Header>", `<e:RelayState xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"/><e:RelayState xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"/></soap11:Header>`, 1),
	} {
		if a, _, err := s.VerifyECP(p, []byte(bad), []string{requestID}, now); a != nil || !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func issuer() *saml.Issuer {
	s := newService() // its key serves here, too
	return &saml.Issuer{EntityID: "https://home.example.org/v3/OS-FEDERATION/saml2/idp", SSOURL: "https://home.example.org/v3/OS-FEDERATION/saml2/sso",
		Key: s.Key, Certificate: s.Certificate, Language: "en",
		Organization: &saml.Organization{Name: "Home", DisplayName: "Home & Co", URL: "https://example.org/"},
		Contact:      &saml.Contact{Company: "Home", GivenName: "Ada", Surname: "Ærø", Email: "ada@example.org", Telephone: "+1 800", Type: "technical"}}
}

func statement() saml.Statement {
	return saml.Statement{User: "bøb", UserDomain: "Default", Roles: []string{"member", "reader"}, Project: `a "b" <c>`, ProjectDomain: "Default",
		Groups: []saml.Group{{Name: "gr<1>", Domain: "Default"}, {Name: "ünd 😀", Domain: `D"`}}, Recipient: newService().ACS, Lifetime: time.Hour}
}

// TestKeystoneToKeystone is our issuer and our service, by way of ECP.
func TestKeystoneToKeystone(t *testing.T) {
	i, s := issuer(), newService()
	m, err := i.Metadata()
	must(t, err)
	p, err := saml.ParseProvider(m)
	must(t, err)
	if p.EntityID != i.EntityID || p.RedirectURL+p.PostURL+p.SOAPURL != "" || !p.Certificates[0].Equal(i.Certificate) {
		t.Errorf("read %+v", p)
	}
	doc, assertionID, err := i.Assertion(statement(), now)
	must(t, err)
	soap, err := i.ECP(doc, "ss:mem:")
	must(t, err)
	a, state, err := s.VerifyECP(p, soap, nil, now.Add(30*time.Minute))
	must(t, err)
	if !strings.HasPrefix(state, "ss:mem:") || len(state) != len("ss:mem:")+32 {
		t.Errorf("relay state %q", state)
	}
	want := map[string][]string{
		"openstack_user": {"bøb"}, "openstack_user_domain": {"Default"}, "openstack_roles": {"member", "reader"},
		"openstack_project": {`a "b" <c>`}, "openstack_project_domain": {"Default"},
		"openstack_groups": {`JSON:{"name": "gr<1>", "domain": {"name": "Default"}}`, `JSON:{"name": "\u00fcnd \ud83d\ude00", "domain": {"name": "D\""}}`},
	}
	if diff := cmp.Diff(want, a.Attributes); diff != "" {
		t.Error(diff)
	}
	if a.ID != assertionID || a.NameID != "bøb" || a.Issuer != i.EntityID || !a.NotOnOrAfter.Equal(now.Add(time.Hour)) {
		t.Errorf("read %+v", a)
	}
	if direct, err := s.Verify(p, doc, nil, now); err != nil || !reflect.DeepEqual(direct, a) {
		t.Errorf("without SOAP: %+v, %v", direct, err)
	}
	for _, b := range slices.Concat(doc, soap, m) {
		if b >= 0x80 {
			t.Fatal("not all in ASCII")
		}
	}
}

func TestStatementsThatCannotBeSaid(t *testing.T) {
	for name, change := range map[string]func(*saml.Statement){
		"user": func(s *saml.Statement) { s.User = "a\x01" }, "role": func(s *saml.Statement) { s.Roles = []string{"\xff"} },
		"project": func(s *saml.Statement) { s.Project = "\uffff" }, "domain": func(s *saml.Statement) { s.UserDomain = "\x00" },
	} {
		s := statement()
		change(&s)
		if _, _, err := issuer().Assertion(s, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := statement()
	s.Groups = nil
	doc, _, err := issuer().Assertion(s, now)
	must(t, err)
	if bytes.Contains(doc, []byte("openstack_groups")) {
		t.Error("an attribute of no groups") // upstream leaves it out
	}
}

func TestDecodeResponse(t *testing.T) {
	if doc, err := saml.DecodeResponse("PGEv\r\nPg=="); err != nil || string(doc) != "<a/>" {
		t.Errorf("%q, %v", doc, err)
	}
	for _, bad := range []string{"?", "PGEvPg", strings.Repeat("A", saml.MaxDocument*2)} {
		if _, err := saml.DecodeResponse(bad); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}
