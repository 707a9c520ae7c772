package saml

import (
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/fault"
)

// seeds are documents of each kind, whole and broken.
func seeds(f *testing.F) {
	f.Helper()
	i := &Issuer{EntityID: theProvider, SSOURL: "https://x.example.org", Key: theirs().key, Certificate: theirs().cert}
	doc, _, err := i.Assertion(Statement{User: "alice", Recipient: theACS, Roles: []string{"member"}, Lifetime: time.Hour}, theNow)
	must(f, err)
	soap, err := i.ECP(doc, "ss:mem:")
	must(f, err)
	metadata, err := i.Metadata()
	must(f, err)
	request, _, err := ask(service(), "s", theNow)
	must(f, err)
	asked := []byte(spell(f, good().build(f)))
	sealed := good().build(f)
	seal(f, sealed, nsEncrypt11+"aes256-gcm", ours())
	must(f, sign(sealed, theirs().key, theirs().cert))
	for _, d := range [][]byte{doc, soap, metadata, request, asked, []byte(spell(f, sealed)), []byte(described())} {
		f.Add(d)
		f.Add(d[:len(d)/2])
	}
	f.Add([]byte(`<a xmlns:b="c" b:ID="d" ID="e"><![CDATA[<f>]]>&#x41;</a>`))
	f.Add([]byte(`<?xml version="1.0"?><!DOCTYPE a><a/>`))
}

// FuzzVerify holds that whatever comes is refused or says what was signed.
func FuzzVerify(f *testing.F) {
	seeds(f)
	s, p := service(), theProviders()
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, requests := range [][]string{nil, {theRequest}} {
			check := func(a *Assertion, err error) {
				if err != nil && (a != nil || !fault.Is(err, fault.Unauthenticated)) {
					t.Fatalf("%+v, %v", a, err)
				}
				if err == nil && (a.NameID != "alice" || a.Issuer != theProvider) {
					t.Fatalf("believed %+v", a)
				}
			}
			check(s.Verify(p, doc, requests, theNow))
			a, _, err := s.VerifyECP(p, doc, requests, theNow)
			check(a, err)
		}
	})
}

func FuzzParseProvider(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := ParseProvider(doc)
		if err != nil && !fault.Is(err, fault.Invalid) || err == nil && (p.EntityID == "" || len(p.Certificates) == 0) {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

func FuzzRelayState(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := RelayState(doc); err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	f.Add("PGEvPg==")
	f.Add(" ?")
	f.Fuzz(func(t *testing.T, field string) {
		if _, err := DecodeResponse(field); err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
	})
}

// FuzzDecrypt takes the place of a provider that signs nonsense.
func FuzzDecrypt(f *testing.F) {
	for name := range ciphers {
		f.Add(`<saml:EncryptedAssertion xmlns:saml="`+nsAssertion+`" xmlns:x="`+nsEncrypt+`"><x:EncryptedData><x:EncryptionMethod Algorithm="`+name+
			`"/><x:CipherData><x:CipherValue>AAAA</x:CipherValue></x:CipherData></x:EncryptedData><x:EncryptedKey><x:EncryptionMethod Algorithm="`+nsEncrypt+
			`rsa-oaep-mgf1p"/><x:CipherData><x:CipherValue>AAAA</x:CipherValue></x:CipherData></x:EncryptedKey></saml:EncryptedAssertion>`, []byte("0123456789abcdef0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, doc string, sealed []byte) {
		if root, err := read([]byte(doc), false); err == nil {
			if e, err := decrypt(root, ours().key); err == nil {
				t.Fatalf("decrypted %v", e)
			}
		}
		for _, c := range ciphers {
			if plain, err := c.open(make([]byte, c.bytes), sealed); err == nil && len(plain) >= len(sealed) {
				t.Fatalf("%d bytes of %d", len(plain), len(sealed))
			}
		}
	})
}

// FuzzParseKeyPair reads what an operator brings.
func FuzzParseKeyPair(f *testing.F) {
	f.Add(strange().certPEM, strange().keyPEM)
	f.Add(strange().keyPEM, strange().certPEM)
	f.Fuzz(func(t *testing.T, certPEM, keyPEM []byte) {
		cert, key, err := ParseKeyPair(certPEM, keyPEM)
		if err == nil && !key.PublicKey.Equal(cert.PublicKey) {
			t.Fatal("they do not belong together")
		}
	})
}
