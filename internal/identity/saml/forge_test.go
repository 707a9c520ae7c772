package saml

import (
	"crypto/rsa"
	"crypto/sha3"
	"crypto/x509"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/mekcloud/mek/internal/fault"
)

const (
	theACS      = "https://cloud.example.org/v3/OS-FEDERATION/identity_providers/corp/protocols/saml2/auth"
	theService  = "https://cloud.example.org/v3"
	theProvider = "https://login.example.org/idp"
	theRequest  = "_0123456789abcdef"
)

var theNow = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// pair is a key with its certificate.
type pair struct {
	key     *rsa.PrivateKey
	cert    *x509.Certificate
	certPEM []byte
	keyPEM  []byte
}

func newPair() pair {
	c, k, err := NewKeyPair(theNow)
	if err != nil {
		panic(err)
	}
	cert, key, err := ParseKeyPair(c, k)
	if err != nil {
		panic(err)
	}
	return pair{key, cert, c, k}
}

// seeded is a pair that is the same in every process: each worker of a fuzz test
// believes what the others have signed.
func seeded(name string) pair {
	one := big.NewInt(1)
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{E: 65537}}
	for i := range 2 {
		h := sha3.NewSHAKE256()
		_, _ = h.Write([]byte(name + strconv.Itoa(i)))
		b := make([]byte, 128)
		_, _ = h.Read(b)
		b[0] |= 0xC0
		b[127] |= 1
		p := new(big.Int).SetBytes(b)
		for !p.ProbablyPrime(10) || new(big.Int).Mod(new(big.Int).Sub(p, one), big.NewInt(65537)).Sign() == 0 {
			p.Add(p, big.NewInt(2))
		}
		key.Primes = append(key.Primes, p)
	}
	p, q := key.Primes[0], key.Primes[1]
	key.N = new(big.Int).Mul(p, q)
	key.D = new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
	key.Precompute()
	t := &x509.Certificate{SerialNumber: one, NotBefore: theNow, NotAfter: theNow.Add(keyLife)}
	der, err := x509.CreateCertificate(random{}, t, t, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return pair{key: key, cert: cert}
}

// The keys of the tests: of the service, of the provider and of somebody else.
var (
	ours    = sync.OnceValue(func() pair { return seeded("ours") })
	theirs  = sync.OnceValue(func() pair { return seeded("theirs") })
	strange = sync.OnceValue(newPair)
)

// ask makes an ECP request with a relay state that does not depend on it.
func ask(s *Service, state string, now time.Time) (soap []byte, requestID string, err error) {
	soap, err = s.ECPRequest(func(id string) (string, error) {
		requestID = id
		return state, nil
	}, now)
	return soap, requestID, err
}

func service() *Service {
	return &Service{EntityID: theService, ACS: theACS, Key: ours().key, Certificate: ours().cert}
}

func theProviders() *Provider {
	return &Provider{EntityID: theProvider, Certificates: []*x509.Certificate{theirs().cert}}
}

// said is a response that a provider may have made. The zero value has nothing
// in it: begin with good.
type said struct {
	issuer, nameID, recipient, destination, audience string
	answers, answersToo                              string // InResponseTo of the assertion and of the response
	begin, end                                       time.Time
	status                                           string
	signAssertion, signResponse                      bool
	by                                               pair
	change                                           func(assertion *etree.Element) // before it is signed
}

func good() said {
	return said{issuer: theProvider, nameID: "alice", recipient: theACS, destination: theACS, audience: theService, answers: theRequest, answersToo: theRequest,
		begin: theNow, end: theNow.Add(time.Minute), status: statusSuccess, signAssertion: true, by: theirs()}
}

func (s said) build(t testing.TB) *etree.Element {
	t.Helper()
	a := element("saml:Assertion", "xmlns:saml", nsAssertion, "ID", "_a", "IssueInstant", instant(theNow), "Version", version)
	addText(a, "saml:Issuer", s.issuer)
	subject := add(a, "saml:Subject")
	addText(subject, "saml:NameID", s.nameID)
	data := add(add(subject, "saml:SubjectConfirmation", "Method", methodBearer), "saml:SubjectConfirmationData", "Recipient", s.recipient)
	if s.answers != "" {
		data.CreateAttr("InResponseTo", s.answers)
	}
	conditions := add(a, "saml:Conditions")
	if !s.begin.IsZero() {
		conditions.CreateAttr("NotBefore", instant(s.begin))
	}
	if !s.end.IsZero() {
		data.CreateAttr("NotOnOrAfter", instant(s.end))
		conditions.CreateAttr("NotOnOrAfter", instant(s.end))
	}
	if s.audience != "" {
		addText(add(conditions, "saml:AudienceRestriction"), "saml:Audience", s.audience)
	}
	add(a, "saml:AuthnStatement", "AuthnInstant", instant(theNow), "SessionIndex", "s1")
	at := add(add(a, "saml:AttributeStatement"), "saml:Attribute", "Name", "urn:oid:0.9.2342.19200300.100.1.1", "FriendlyName", "uid")
	addText(at, "saml:AttributeValue", "alice")
	if s.change != nil {
		s.change(a)
	}
	r := element("samlp:Response", "xmlns:samlp", nsProtocol, "ID", "_r", "IssueInstant", instant(theNow), "Version", version)
	if s.destination != "" {
		r.CreateAttr("Destination", s.destination)
	}
	if s.answersToo != "" {
		r.CreateAttr("InResponseTo", s.answersToo)
	}
	addText(r, "saml:Issuer", s.issuer, "xmlns:saml", nsAssertion)
	add(add(r, "samlp:Status"), "samlp:StatusCode", "Value", s.status)
	if s.signAssertion {
		must(t, sign(a, s.by.key, s.by.cert))
	}
	r.AddChild(a)
	if s.signResponse {
		must(t, sign(r, s.by.key, s.by.cert))
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spell writes a document as it is, without the care of write.
func spell(t testing.TB, root *etree.Element) string {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(root.Copy())
	s, err := doc.WriteToString()
	must(t, err)
	return s
}

// refusedFor checks that an error is the one refusal, for a reason.
func refusedFor(t *testing.T, a *Assertion, err, why error) {
	t.Helper()
	if a != nil {
		t.Errorf("accepted: %+v", a)
	}
	if !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("not Unauthenticated: %v", err)
	}
	if got := fault.As(err).Text; got != "The request you have made requires authentication." {
		t.Errorf("the text says %q", got)
	}
	if why != nil && !errors.Is(err, why) {
		t.Errorf("refused for %v, want %v", err, why)
	}
}

func child(t testing.TB, e *etree.Element, path ...string) *etree.Element {
	t.Helper()
	for _, tag := range path {
		var next *etree.Element
		for _, c := range e.ChildElements() {
			if c.Tag == tag {
				next = c
				break
			}
		}
		if next == nil {
			t.Fatalf("%s has no %s", e.Tag, tag)
		}
		e = next
	}
	return e
}

// evil is an assertion like that of a response, unsigned, for somebody else.
func evil(t testing.TB, response *etree.Element) *etree.Element {
	t.Helper()
	e := child(t, response, "Assertion").Copy()
	if s := e.SelectElement("Signature"); s != nil {
		e.RemoveChild(s)
	}
	e.SelectAttr("ID").Value = "_evil"
	child(t, e, "Subject", "NameID").SetText("admin")
	return e
}

func replaced(old, with string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("nothing to replace: " + old)
		}
		return strings.Replace(s, old, with, 1)
	}
}
