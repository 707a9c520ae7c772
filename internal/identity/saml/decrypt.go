package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	_ "crypto/sha1" // of MGF1 in OAEP, where no collision helps anybody
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// maxKeys is how many recipients an encrypted assertion may have: each costs a
// private operation.
const maxKeys = 4

var (
	errOpenOnly  = errors.New("an encrypted assertion is opened in a signed response only")
	errCipher    = errors.New("cannot be decrypted")
	errRecipient = errors.New("no key for us")
)

// cipherOf is a block cipher mode: the bytes of its key, and whether it is authenticated.
type cipherOf struct {
	bytes int
	gcm   bool
}

var (
	ciphers = map[string]cipherOf{
		nsEncrypt11 + "aes256-gcm": {32, true}, nsEncrypt11 + "aes192-gcm": {24, true}, nsEncrypt11 + "aes128-gcm": {16, true},
		nsEncrypt + "aes256-cbc": {32, false}, nsEncrypt + "aes192-cbc": {24, false}, nsEncrypt + "aes128-cbc": {16, false},
	}
	// offered is what metadata names, best first.
	offered = []string{
		nsEncrypt11 + "aes256-gcm", nsEncrypt11 + "aes128-gcm", nsEncrypt + "aes256-cbc", nsEncrypt + "aes128-cbc",
		nsEncrypt11 + "rsa-oaep", nsEncrypt + "rsa-oaep-mgf1p",
	}
	hashes = map[string]crypto.Hash{
		"": crypto.SHA1, nsSignature + "sha1": crypto.SHA1, nsEncrypt + "sha256": crypto.SHA256, nsEncrypt + "sha512": crypto.SHA512,
		nsEncrypt11 + "mgf1sha1": crypto.SHA1, nsEncrypt11 + "mgf1sha256": crypto.SHA256, nsEncrypt11 + "mgf1sha512": crypto.SHA512,
	}
)

// decrypt opens an EncryptedAssertion. Keys in RSA 1.5 are refused.
func decrypt(sealed *etree.Element, key *rsa.PrivateKey) (*etree.Element, error) {
	data, err := one(sealed, nsEncrypt, "EncryptedData")
	if err != nil {
		return nil, err
	}
	method, err := one(data, nsEncrypt, "EncryptionMethod")
	if err != nil {
		return nil, err
	}
	c, ok := ciphers[attr(method, "Algorithm")]
	if !ok {
		return nil, fmt.Errorf("cipher %q is not known", attr(method, "Algorithm"))
	}
	secret, err := unwrap(sealed, key, c.bytes)
	if err != nil {
		return nil, err
	}
	ciphertext, err := cipherValue(data)
	if err != nil {
		return nil, err
	}
	plain, err := c.open(secret, ciphertext)
	if err != nil {
		return nil, err
	}
	root, err := read(plain, false)
	if err != nil {
		return nil, err
	}
	if !is(root, nsAssertion, "Assertion") {
		return nil, errAssertion
	}
	return root, nil
}

// unwrap finds the key that is encrypted for us: beside the data, or in it.
func unwrap(sealed *etree.Element, key *rsa.PrivateKey, size int) ([]byte, error) {
	var wrapped []*etree.Element
	err := walk(sealed, func(e *etree.Element) error {
		if is(e, nsEncrypt, "EncryptedKey") {
			wrapped = append(wrapped, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(wrapped) > maxKeys {
		return nil, errRecipient
	}
	why := []error{errRecipient}
	for _, w := range wrapped {
		secret, err := oaep(w, key)
		if err == nil && len(secret) == size {
			return secret, nil
		}
		why = append(why, err)
	}
	return nil, errors.Join(why...)
}

func oaep(wrapped *etree.Element, key *rsa.PrivateKey) ([]byte, error) {
	method, err := one(wrapped, nsEncrypt, "EncryptionMethod")
	if err != nil {
		return nil, err
	}
	digest, err := optional(method, nsSignature, "DigestMethod")
	if err != nil {
		return nil, err
	}
	mask, err := optional(method, nsEncrypt11, "MGF")
	if err != nil {
		return nil, err
	}
	var names [2]string
	if digest != nil {
		names[0] = attr(digest, "Algorithm")
	}
	switch name := attr(method, "Algorithm"); {
	case name == nsEncrypt11+"rsa-oaep" && mask != nil:
		names[1] = attr(mask, "Algorithm")
	case name != nsEncrypt11+"rsa-oaep" && name != nsEncrypt+"rsa-oaep-mgf1p":
		return nil, fmt.Errorf("key transport %q is refused", name)
	}
	hash, ok := hashes[names[0]]
	mgf, ok2 := hashes[names[1]]
	if !ok || !ok2 {
		return nil, fmt.Errorf("hashes %q are not known", names)
	}
	ciphertext, err := cipherValue(wrapped)
	if err != nil {
		return nil, err
	}
	return key.Decrypt(random{}, ciphertext, &rsa.OAEPOptions{Hash: hash, MGFHash: mgf})
}

func cipherValue(e *etree.Element) ([]byte, error) {
	data, err := one(e, nsEncrypt, "CipherData")
	if err != nil {
		return nil, err
	}
	value, err := one(data, nsEncrypt, "CipherValue")
	if err != nil {
		return nil, err
	}
	s, err := text(value)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), ""))
}

// open decrypts what begins with its nonce or initial vector.
func (c cipherOf) open(secret, ciphertext []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	if c.gcm {
		mode, err := cipher.NewGCM(block)
		if err != nil || len(ciphertext) < mode.NonceSize() {
			return nil, errCipher
		}
		return mode.Open(nil, ciphertext[:mode.NonceSize()], ciphertext[mode.NonceSize():], nil)
	}
	if len(ciphertext) < 2*aes.BlockSize || len(ciphertext)%aes.BlockSize != 0 {
		return nil, errCipher
	}
	plain := make([]byte, len(ciphertext)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, ciphertext[:aes.BlockSize]).CryptBlocks(plain, ciphertext[aes.BlockSize:])
	padding := int(plain[len(plain)-1]) // the other bytes of it may be anything
	if padding < 1 || padding > aes.BlockSize {
		return nil, errCipher
	}
	return plain[:len(plain)-padding], nil
}
