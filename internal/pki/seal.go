package pki

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/id"
)

// MasterKeySize is the length of a master key in bytes.
const MasterKeySize = 32

// Sealer seals secrets for one purpose with a key derived from the master key.
// Safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// NewSealer derives the key of a purpose, such as "authority keys".
func NewSealer(master []byte, purpose string) (*Sealer, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("master key has %d bytes instead of %d", len(master), MasterKeySize)
	}
	key, err := hkdf.Key(sha256.New, master, nil, "mek: "+purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return &Sealer{aead}, nil
}

// Seal encrypts and authenticates; name binds the result to where it belongs.
func (s *Sealer) Seal(name string, secret []byte) []byte {
	nonce := id.Bytes(s.aead.NonceSize())
	return s.aead.Seal(nonce, nonce, secret, []byte(name))
}

// Open is the inverse of Seal; it fails for another key, name or changed bytes.
func (s *Sealer) Open(name string, sealed []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("sealed value is too short")
	}
	secret, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(name))
	if err != nil {
		return nil, errors.New("sealed value does not open with this master key")
	}
	return secret, nil
}

// MasterKey reads the master key from path, making one when there is no file.
func MasterKey(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("master key: %w", err)
		}
		key := id.Bytes(MasterKeySize)
		return key, writeFile(path, []byte(hex.EncodeToString(key)+"\n"), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != MasterKeySize {
		return nil, fmt.Errorf("master key %s is not %d bytes in hexadecimal", path, MasterKeySize)
	}
	return key, nil
}

// writeFile replaces a file as a whole and durably.
func writeFile(path string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
