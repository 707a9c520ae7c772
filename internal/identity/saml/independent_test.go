package saml_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/identity/saml"
)

const assertionID = "--id-attr:ID"

// run runs a program that others have written, with its files in a directory.
func run(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func put(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}

// TestXMLSec lets xmlsec1 check what we sign.
func TestXMLSec(t *testing.T) {
	i, s, dir := issuer(), newService(), t.TempDir()
	put(t, dir, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Raw}))
	assertion, _, err := i.Assertion(statement(), now)
	must(t, err)
	ecp, err := i.ECP(assertion, "ss:mem:")
	must(t, err)
	request, _, err := asked(&s, "state", now)
	must(t, err)
	for name, doc := range map[string]struct {
		content      []byte
		signed, text string
	}{
		"assertion": {assertion, "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "member"},
		"ecp":       {ecp, "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "member"},
		"request":   {request, "urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest", "https://cloud.example.org/v3<"},
	} {
		put(t, dir, name, doc.content)
		args := []string{"--verify", assertionID, doc.signed, "--pubkey-cert-pem", "cert.pem", name}
		if out, err := run(t, dir, "xmlsec1", args...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if !bytes.Contains(doc.content, []byte(doc.text)) {
			t.Fatalf("%s has no %s", name, doc.text)
		}
		at := bytes.LastIndex(doc.content, []byte(doc.text))
		doc.content[at] = 'X'
		put(t, dir, name, doc.content)
		if out, err := run(t, dir, "xmlsec1", args...); err == nil {
			t.Errorf("%s, changed: good\n%s", name, out)
		}
	}
}

const template = `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="r" Version="2.0" IssueInstant="2026-11-30T12:00:00Z">` +
	`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
	`<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:unused="urn:x" ID="a" Version="2.0" IssueInstant="2026-11-30T12:00:00Z">
 <Issuer>https://home.example.org/v3/OS-FEDERATION/saml2/idp</Issuer>SIGNATURE-a
 <Subject><NameID>b&#xF8;b &amp; co</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
  <SubjectConfirmationData NotOnOrAfter="2026-11-30T12:05:00.123456789Z" Recipient="https://cloud.example.org/acs"/></SubjectConfirmation></Subject>
 <AuthnStatement AuthnInstant="2026-11-30T12:00:00Z"/>
 <AttributeStatement><Attribute Name="n"><AttributeValue><![CDATA[<v>]]></AttributeValue></Attribute></AttributeStatement>
</Assertion></samlp:Response>`

const signatureTemplate = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>
 <ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"/>
 <ds:Reference URI="#ID"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
 <ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>
 </ds:SignedInfo><ds:SignatureValue/></ds:Signature>`

// keyFiles puts the key of newService, by which xmlsec1 signs, into a directory.
func keyFiles(t *testing.T, dir string) {
	t.Helper()
	s := newService()
	put(t, dir, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw}))
	put(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustMarshal(t, s.Key)}))
}

// TestSignedByXMLSec verifies what xmlsec1 has signed, spelled as we never do.
func TestSignedByXMLSec(t *testing.T) {
	s, dir := newService(), t.TempDir()
	keyFiles(t, dir)
	signature := strings.Replace(signatureTemplate, "#ID", "#a", 1)
	prefixes := `xml-exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="unused xs"/></ds:Transform></ds:Transforms>` // as OpenSAML writes it
	signature = strings.Replace(signature, `xml-exc-c14n#"/></ds:Transforms>`, prefixes, 1)
	put(t, dir, "in.xml", []byte(strings.Replace(template, "SIGNATURE-a", signature, 1)))
	if out, err := run(t, dir, "xmlsec1", "--sign", assertionID, "urn:oasis:names:tc:SAML:2.0:assertion:Assertion", "--privkey-pem", "key.pem", "--output", "out.xml", "in.xml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	doc, err := os.ReadFile(filepath.Join(dir, "out.xml"))
	must(t, err)
	if !bytes.Contains(doc, []byte("PrefixList")) {
		t.Fatal("signed without the prefixes")
	}
	a, err := s.Verify(ourselves(t), doc, nil, now)
	must(t, err)
	if a.NameID != "bøb & co" || a.Attributes["n"][0] != "<v>" {
		t.Errorf("read %+v", a)
	}
}

// ourselves is our issuer as others know it.
func ourselves(t *testing.T) *saml.Provider {
	t.Helper()
	m, err := issuer().Metadata()
	must(t, err)
	p, err := saml.ParseProvider(m)
	must(t, err)
	return p
}

// TestEncryptedByXMLSec opens what xmlsec1 has encrypted, by each cipher that is
// offered, and only in a signed response.
func TestEncryptedByXMLSec(t *testing.T) {
	s, dir := newService(), t.TempDir()
	keyFiles(t, dir)
	begin, end := strings.Index(template, "<Assertion"), strings.Index(template, "</samlp:Response>")
	put(t, dir, "assertion.xml", []byte(strings.Replace(template[begin:end], "SIGNATURE-a", "", 1)))
	for cipher, key := range map[string]string{"http://www.w3.org/2009/xmlenc11#aes256-gcm": "aes-256", "http://www.w3.org/2009/xmlenc11#aes128-gcm": "aes-128",
		"http://www.w3.org/2001/04/xmlenc#aes256-cbc": "aes-256", "http://www.w3.org/2001/04/xmlenc#aes128-cbc": "aes-128"} {
		for transport, refused := range map[string]bool{"rsa-oaep-mgf1p": false, "rsa-1_5": true} {
			put(t, dir, "template.xml", []byte(`<EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element"><EncryptionMethod Algorithm="`+cipher+
				`"/><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><EncryptedKey xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#`+transport+
				`"/><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><KeyName/></KeyInfo><CipherData><CipherValue/></CipherData></EncryptedKey></KeyInfo><CipherData><CipherValue/></CipherData></EncryptedData>`))
			if out, err := run(t, dir, "xmlsec1", "--encrypt", "--pubkey-cert-pem", "cert.pem", "--session-key", key, "--xml-data", "assertion.xml", "--output", "sealed.xml", "template.xml"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			sealed, err := os.ReadFile(filepath.Join(dir, "sealed.xml"))
			must(t, err)
			element := string(sealed[bytes.Index(sealed, []byte("<EncryptedData")):])
			response := template[:begin] + `<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">` + element + "</EncryptedAssertion></samlp:Response>"
			if a, err := s.Verify(ourselves(t), []byte(response), nil, now); err == nil || !strings.Contains(err.Error(), "in a signed response only") {
				t.Errorf("unsigned: %+v, %v", a, err)
			}
			put(t, dir, "in.xml", []byte(strings.Replace(response, "<samlp:Status>", strings.Replace(signatureTemplate, "#ID", "#r", 1)+"<samlp:Status>", 1)))
			if out, err := run(t, dir, "xmlsec1", "--sign", assertionID, "urn:oasis:names:tc:SAML:2.0:protocol:Response", "--privkey-pem", "key.pem", "--output", "out.xml", "in.xml"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			doc, err := os.ReadFile(filepath.Join(dir, "out.xml"))
			must(t, err)
			a, err := s.Verify(ourselves(t), doc, nil, now)
			if refused != (err != nil) || err == nil && a.NameID != "bøb & co" || refused && !strings.Contains(err.Error(), "rsa-1_5") {
				t.Errorf("%s, %s: %+v, %v", cipher, transport, a, err)
			}
		}
	}
}

// cloud is as much of the routes as keystoneauth's plugins meet.
func cloud(t *testing.T, verify func(soap []byte) (*saml.Assertion, error), ask func() []byte, home func() []byte) *httptest.Server {
	t.Helper()
	const auth = "/v3/OS-FEDERATION/identity_providers/corp/protocols/saml2/auth"
	names := map[string]string{} // by session
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+auth, func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		if err != nil {
			if !strings.Contains(r.Header.Get("Accept"), saml.PAOSType) || !strings.Contains(r.Header.Get("PAOS"), "urn:liberty:paos:2003-08") {
				t.Errorf("headers %v", r.Header)
			}
			w.Header().Set("Content-Type", saml.PAOSType)
			_, _ = w.Write(ask())
			return
		}
		w.Header().Set("X-Subject-Token", "token")
		_ = json.NewEncoder(w).Encode(map[string]any{"token": map[string]any{"methods": []string{"saml2"}, "user": map[string]any{"name": names[c.Value]}}})
	})
	mux.HandleFunc("POST /acs", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != saml.PAOSType {
			t.Errorf("%v, %v", r.Header, err)
		}
		a, err := verify(body)
		if err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		names[a.ID] = a.NameID
		http.SetCookie(w, &http.Cookie{Name: "session", Value: a.ID, Path: "/"})
		w.Header().Set("Location", "http://"+r.Host+auth)
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("POST /home/v3/auth/OS-FEDERATION/saml2/ecp", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write(home())
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestKeystoneauth runs the plugins of the standard client against us.
func TestKeystoneauth(t *testing.T) {
	var s *saml.Service
	var p *saml.Provider
	var requestID string
	var verify func([]byte) (*saml.Assertion, error)
	server := cloud(t, func(soap []byte) (*saml.Assertion, error) { return verify(soap) }, func() []byte {
		soap, id, err := asked(s, "ss:mem:1", now)
		must(t, err)
		requestID = id
		return soap
	}, func() []byte {
		st := statement()
		st.Recipient = s.ACS
		doc, _, err := issuer().Assertion(st, now)
		must(t, err)
		soap, err := issuer().ECP(doc, "ss:mem:")
		must(t, err)
		return soap
	})
	s, p, idp := meet(t, server.URL+"/acs")
	verify = func(soap []byte) (*saml.Assertion, error) {
		a, state, err := s.VerifyECP(p, soap, []string{requestID}, now)
		if err == nil && state != "ss:mem:1" {
			t.Errorf("relay state %q", state)
		}
		return a, err
	}
	out, err := run(t, ".", "/usr/bin/python3", "-W", "ignore", "testdata/ecp.py", server.URL, idp.ECPURL(), alice.Name, alice.Password)
	if err != nil || strings.TrimSpace(out) != "token alice" {
		t.Errorf("v3samlpassword: %v\n%s", err, out)
	}
	verify = func(soap []byte) (*saml.Assertion, error) {
		a, _, err := s.VerifyECP(ourselves(t), soap, nil, now)
		return a, err
	}
	out, err = run(t, ".", "/usr/bin/python3", "-W", "ignore", "testdata/k2k.py", server.URL)
	if err != nil || strings.TrimSpace(out) != "token bøb" {
		t.Errorf("Keystone2Keystone: %v\n%s", err, out)
	}
}

// asked is an ECP request with a relay state that does not depend on it.
func asked(s *saml.Service, state string, now time.Time) (soap []byte, requestID string, err error) {
	soap, err = s.ECPRequest(func(id string) (string, error) {
		requestID = id
		return state, nil
	}, now)
	return soap, requestID, err
}
