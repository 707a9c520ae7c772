package saml

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/beevik/etree"
)

// seal encrypts the assertion of a response for somebody.
func seal(t testing.TB, response *etree.Element, algorithm string, to pair) {
	t.Helper()
	a := child(t, response, "Assertion")
	response.RemoveChild(a)
	response.AddChild(sealed(t, spell(t, a), algorithm, to))
}

func sealed(t testing.TB, plain, algorithm string, to ...pair) *etree.Element {
	t.Helper()
	c := ciphers[algorithm]
	secret := bytes.Repeat([]byte{7}, c.bytes)
	block, err := aes.NewCipher(secret)
	must(t, err)
	vector := bytes.Repeat([]byte{9}, aes.BlockSize)
	var ciphertext []byte
	if c.gcm {
		mode, err := cipher.NewGCM(block)
		must(t, err)
		ciphertext = mode.Seal(vector[:12:12], vector[:12], []byte(plain), nil)
	} else {
		padding := aes.BlockSize - len(plain)%aes.BlockSize
		padded := append([]byte(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
		ciphertext = append(vector, make([]byte, len(padded))...)
		cipher.NewCBCEncrypter(block, vector).CryptBlocks(ciphertext[aes.BlockSize:], padded)
	}
	e := element("saml:EncryptedAssertion", "xmlns:saml", nsAssertion, "xmlns:xenc", nsEncrypt, "xmlns:ds", nsSignature, "xmlns:xenc11", nsEncrypt11)
	data := add(e, "xenc:EncryptedData")
	add(data, "xenc:EncryptionMethod", "Algorithm", algorithm)
	addText(add(data, "xenc:CipherData"), "xenc:CipherValue", base64.StdEncoding.EncodeToString(ciphertext))
	for i, p := range to {
		key := add(e, "xenc:EncryptedKey")
		var wrapped []byte
		if i%2 == 0 {
			add(key, "xenc:EncryptionMethod", "Algorithm", nsEncrypt+"rsa-oaep-mgf1p")
			wrapped, err = rsa.EncryptOAEP(sha1.New(), random{}, &p.key.PublicKey, secret, nil)
		} else {
			m := add(key, "xenc:EncryptionMethod", "Algorithm", nsEncrypt11+"rsa-oaep")
			add(m, "ds:DigestMethod", "Algorithm", nsEncrypt+"sha256")
			add(m, "xenc11:MGF", "Algorithm", nsEncrypt11+"mgf1sha256")
			wrapped, err = rsa.EncryptOAEP(sha256.New(), random{}, &p.key.PublicKey, secret, nil)
		}
		must(t, err)
		addText(add(key, "xenc:CipherData"), "xenc:CipherValue", base64.StdEncoding.EncodeToString(wrapped))
	}
	return e
}

// TestEncryptedAssertions holds what is inside to the rules of what is outside.
func TestEncryptedAssertions(t *testing.T) {
	const gcm, cbc = nsEncrypt11 + "aes256-gcm", nsEncrypt + "aes128-cbc"
	plain := func(change func(*said)) string {
		s := good()
		s.signAssertion = false
		if change != nil {
			change(&s)
		}
		return spell(t, child(t, s.build(t), "Assertion"))
	}
	bySomebody := func(p pair) string {
		return plain(func(s *said) { s.signAssertion, s.by = true, p })
	}
	value := func(v string) func(*etree.Element) {
		return func(e *etree.Element) { child(t, e, "EncryptedData", "CipherData", "CipherValue").SetText(v) }
	}
	for name, c := range map[string]struct {
		plain  string
		cipher string
		to     []pair
		change func(*etree.Element)
		says   string // empty: believed
	}{
		"plain":                   {plain: plain(nil), cipher: gcm, to: []pair{ours()}},
		"signed":                  {plain: bySomebody(theirs()), cipher: cbc, to: []pair{ours()}},
		"for two":                 {plain: plain(nil), cipher: nsEncrypt11 + "aes192-gcm", to: []pair{theirs(), ours()}},
		"of 192 bits":             {plain: plain(nil), cipher: nsEncrypt + "aes192-cbc", to: []pair{ours()}},
		"signed by somebody else": {plain: bySomebody(strange()), cipher: gcm, to: []pair{ours()}, says: errNoKey.Error()},
		"for somebody else":       {plain: plain(nil), cipher: gcm, to: []pair{theirs()}, says: errRecipient.Error()},
		"for nobody":              {plain: plain(nil), cipher: gcm, says: errRecipient.Error()},
		"for too many":            {plain: plain(nil), cipher: gcm, to: []pair{ours(), ours(), ours(), ours(), ours()}, says: errRecipient.Error()},
		"for another audience":    {plain: plain(func(s *said) { s.audience = "x" }), cipher: gcm, to: []pair{ours()}, says: errElsewhere.Error()},
		"a comment":               {plain: strings.Replace(plain(nil), "alice", "al<!---->ice", 1), cipher: gcm, to: []pair{ours()}, says: errComment.Error()},
		"a DTD":                   {plain: "<!DOCTYPE a>" + plain(nil), cipher: gcm, to: []pair{ours()}, says: errDTD.Error()},
		"two":                     {plain: plain(nil) + plain(nil), cipher: gcm, to: []pair{ours()}, says: errOneRoot.Error()},
		"one in the other":        {plain: strings.Replace(plain(nil), "<saml:Subject>", plain(nil)+"<saml:Subject>", 1), cipher: gcm, to: []pair{ours()}, says: errSameID.Error()},
		"something else":          {plain: "<a/>", cipher: gcm, to: []pair{ours()}, says: errAssertion.Error()},
		"nothing":                 {plain: "", cipher: cbc, to: []pair{ours()}, says: errOneRoot.Error()},
		"an unknown cipher": {plain: plain(nil), cipher: gcm, to: []pair{ours()}, says: "tripledes", change: func(e *etree.Element) {
			child(t, e, "EncryptedData", "EncryptionMethod").SelectAttr("Algorithm").Value = nsEncrypt + "tripledes-cbc"
		}},
		"a key of another size": {plain: plain(nil), cipher: gcm, to: []pair{ours()}, says: errRecipient.Error(), change: func(e *etree.Element) {
			child(t, e, "EncryptedData", "EncryptionMethod").SelectAttr("Algorithm").Value = nsEncrypt11 + "aes128-gcm"
		}},
		"an unknown hash": {plain: plain(nil), cipher: gcm, to: []pair{ours()}, says: "not known", change: func(e *etree.Element) {
			add(child(t, e, "EncryptedKey", "EncryptionMethod"), "ds:DigestMethod", "Algorithm", "md5")
		}},
		"cut short":                {plain: plain(nil), cipher: gcm, to: []pair{ours()}, says: errCipher.Error(), change: value("AAAA")},
		"cut short, CBC":           {plain: plain(nil), cipher: cbc, to: []pair{ours()}, says: errCipher.Error(), change: value("AAAA")},
		"another text":             {plain: plain(nil), cipher: gcm, to: []pair{ours()}, says: "authentication failed", change: value(strings.Repeat("AAAA", 20))},
		"another text, CBC":        {plain: plain(nil), cipher: cbc, to: []pair{ours()}, says: "encrypted assertion: ", change: value(strings.Repeat("AAAA", 16))},
		"no base64":                {plain: plain(nil), cipher: cbc, to: []pair{ours()}, says: "base64", change: value("?")},
		"an element in the cipher": {plain: plain(nil), cipher: cbc, to: []pair{ours()}, says: "not a text", change: func(e *etree.Element) { add(child(t, e, "EncryptedData", "CipherData", "CipherValue"), "a") }},
		"no cipher text":           {plain: plain(nil), cipher: cbc, to: []pair{ours()}, says: "no CipherData", change: func(e *etree.Element) { d := child(t, e, "EncryptedData"); d.RemoveChild(child(t, d, "CipherData")) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := good().build(t)
			r.RemoveChild(child(t, r, "Assertion"))
			e := sealed(t, c.plain, c.cipher, c.to...)
			if c.change != nil {
				c.change(e)
			}
			r.AddChild(e)
			must(t, sign(r, theirs().key, theirs().cert))
			a, err := service().Verify(theProviders(), []byte(spell(t, r)), []string{theRequest}, theNow)
			if c.says == "" {
				must(t, err)
				if a.NameID != "alice" {
					t.Errorf("read %+v", a)
				}
				return
			}
			refusedFor(t, a, err, nil)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("refused for %v, want %q", err, c.says)
			}
		})
	}
}

// TestAttributes reads values of every kind that providers write.
func TestAttributes(t *testing.T) {
	s := good()
	s.change = func(a *etree.Element) {
		list := child(t, a, "AttributeStatement")
		e := add(list, "saml:Attribute", "Name", "urn:oid:1.3.6.1.4.1.5923.1.1.1.10", "FriendlyName", "eduPersonTargetedID")
		addText(add(e, "saml:AttributeValue"), "saml:NameID", "opaque")
		addText(e, "saml:AttributeValue", " two\twords ")
		add(add(add(e, "saml:AttributeValue"), "saml:a"), "saml:b")
		shadow := add(list, "saml:Attribute", "Name", "other", "FriendlyName", "role")
		addText(shadow, "saml:AttributeValue", "admin")
		addText(add(list, "saml:Attribute", "Name", "role"), "saml:AttributeValue", "reader")
		addText(add(add(a, "saml:AttributeStatement"), "saml:Attribute", "Name", "role"), "saml:AttributeValue", "member")
		add(list, "saml:Attribute", "Name", "empty")
	}
	a, err := service().Verify(theProviders(), attack{}.document(t, s), []string{theRequest}, theNow)
	must(t, err)
	for name, want := range map[string]string{"eduPersonTargetedID": "opaque| two\twords ", "urn:oid:1.3.6.1.4.1.5923.1.1.1.10": "opaque| two\twords ",
		"role": "reader|member", "other": "admin", "uid": "alice", "empty": ""} {
		got, ok := a.Attributes[name]
		if !ok || strings.Join(got, "|") != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
