package tokens

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/fernet/fernet-go"

	"github.com/mekcloud/mek/internal/id"
)

// KeyState is the place of a key in its life.
type KeyState string

// The states of a key. Only the primary seals; all of them open.
const (
	Staged  KeyState = "staged"  // published, will be the next primary
	Primary KeyState = "primary" // seals new tokens
	Retired KeyState = "retired" // opens what it sealed until that expired
)

// Key is one secret of the ring.
type Key struct {
	ID        string
	State     KeyState
	Secret    []byte // 32 bytes
	CreatedAt time.Time
	RetiredAt time.Time // zero unless retired
}

// newKey mints a key.
func newKey(state KeyState, now time.Time) Key {
	return Key{ID: id.New(), State: state, Secret: id.Bytes(32), CreatedAt: now}
}

// Rotate is one turn of a ring: the staged key becomes primary, the primary is
// retired, a new key is staged, and retired keys older than life are dropped.
// An empty ring gets a primary and a staged key. It is pure but for the new
// key's random bytes.
func Rotate(keys []Key, now time.Time, life time.Duration) (kept, dropped []Key) {
	staged := false
	for _, k := range keys {
		staged = staged || k.State == Staged
	}
	for _, k := range keys {
		switch {
		case k.State == Staged:
			k.State = Primary
		case k.State == Primary && staged:
			k.State, k.RetiredAt = Retired, now
		case k.State == Retired && now.Sub(k.RetiredAt) > life:
			dropped = append(dropped, k)
			continue
		}
		kept = append(kept, k)
	}
	if len(keys) == 0 {
		kept = append(kept, newKey(Primary, now))
	}
	return append(kept, newKey(Staged, now)), dropped
}

// keyring is what sealing and opening need, replaced as a whole.
type keyring struct {
	primary *fernet.Key
	all     []*fernet.Key // primary first: it opens nearly everything
}

// sealer turns payloads into tokens and back. Safe for concurrent use.
type sealer struct{ ring atomic.Pointer[keyring] }

// use replaces the keys. Keys of the wrong length are left out.
func (s *sealer) use(keys []Key) {
	ring := &keyring{}
	for _, k := range keys {
		if len(k.Secret) != len(fernet.Key{}) {
			continue
		}
		key := fernet.Key(k.Secret)
		if k.State == Primary {
			ring.primary = &key
			ring.all = append([]*fernet.Key{&key}, ring.all...)
			continue
		}
		ring.all = append(ring.all, &key)
	}
	s.ring.Store(ring)
}

func (s *sealer) seal(msg []byte, now time.Time) (string, bool) {
	ring := s.ring.Load()
	if ring == nil || ring.primary == nil {
		return "", false
	}
	tok, err := fernet.EncryptAndSignAtTime(msg, ring.primary, now)
	if err != nil {
		return "", false
	}
	return strings.TrimRight(string(tok), "="), true
}

// Bounds of a Fernet token in base64: anything else is refused before any
// cryptography. The library indexes into the decrypted text, so the length of
// the ciphertext is checked here.
const (
	minToken = 100
	maxToken = 1024
)

func (s *sealer) open(token string) ([]byte, bool) {
	ring := s.ring.Load()
	if ring == nil || len(token) < minToken || len(token) > maxToken || strings.ContainsAny(token, "=\r\n") {
		return nil, false
	}
	padded := make([]byte, len(token), len(token)+3)
	copy(padded, token)
	for len(padded)%4 != 0 {
		padded = append(padded, '=')
	}
	msg := fernet.VerifyAndDecrypt(padded, 0, ring.all)
	return msg, msg != nil
}
