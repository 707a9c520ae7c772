// Package id mints identifiers and random bytes. It is the only user of the
// random source, so that a simulation can be seeded.
package id

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// New is a random UUID in the usual spelling with dashes.
func New() string { return uuid.NewString() }

// Ordered is a UUID (version 7) that is behind those minted before, so that rows
// that are only ever added lie side by side in the index of their keys. It tells
// when it was minted: it is none for what users see.
func Ordered() string { return uuid.Must(uuid.NewV7()).String() }

// Hex is a random UUID without dashes, as Keystone spells identifiers.
func Hex() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// Bytes returns n random bytes from the system's source.
func Bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24: it aborts the process instead
	return b
}

// Secret is a random word of n bytes of entropy, in URL-safe base64.
func Secret(n int) string { return base64.RawURLEncoding.EncodeToString(Bytes(n)) }

// HexSecret is a random word of n bytes of entropy, in hexadecimal.
func HexSecret(n int) string { return hex.EncodeToString(Bytes(n)) }

// Valid tells whether s is a UUID, with or without dashes.
func Valid(s string) bool {
	if len(s) != 36 && len(s) != 32 {
		return false
	}
	_, err := uuid.Parse(s)
	return err == nil
}

// Named is the UUID that a name always has, within this program.
func Named(name string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte("mek:"+name)).String() }
