package passwords

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/pace"
)

// Cost is the work of one new hash.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Bcrypt    int // rounds; not 0: new hashes are bcrypt, for clouds that must share them with others
}

// DefaultCost is what OWASP names as the minimum for argon2id.
var DefaultCost = Cost{MemoryKiB: 19 * 1024, Passes: 2}

// MaxLength is the longest password accepted, in bytes; it bounds the work of
// a request before anybody is known.
const MaxLength = 4096

const (
	keyBytes   = 32
	saltBytes  = 16
	bcryptMax  = 72 // bcrypt ignores what follows; Keystone truncates before hashing
	maxScryptN = 1 << 17
	maxMemory  = 256 * 1024 // KiB, of hashes that were imported
)

// Hasher makes and checks hashes. Safe for concurrent use.
type Hasher struct {
	cost   Cost
	slots  chan struct{}
	memory *memory
	dummy  string
}

// New makes a hasher that computes at most parallel hashes at once.
func New(cost Cost, parallel int) *Hasher {
	h := &Hasher{cost: cost, slots: make(chan struct{}, max(parallel, 1)), memory: &memory{blocks: int(blocksOf(cost.MemoryKiB)) + scratch}}
	h.dummy = h.encode(id.Secret(saltBytes), id.Bytes(saltBytes))
	return h
}

// BcryptCost is Keystone's own choice.
func BcryptCost() Cost {
	return Cost{MemoryKiB: DefaultCost.MemoryKiB, Passes: DefaultCost.Passes, Bcrypt: 12}
}

// Hash makes a new hash. It fails with Invalid for a password that is too long
// and with Unavailable when ctx ends before a place is free.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxLength {
		return "", fault.Invalidf("The password length must be less than or equal to %d.", MaxLength)
	}
	release, err := h.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return h.encode(password, id.Bytes(saltBytes)), nil
}

// Check compares a password with a stored hash. An empty or unreadable hash
// costs as much as a readable one and never matches.
func (h *Hasher) Check(ctx context.Context, hash, password string) (identity.Verdict, error) {
	release, err := h.slot(ctx)
	if err != nil {
		return identity.Verdict{}, err
	}
	defer release()
	if len(password) > MaxLength {
		password = ""
		hash = ""
	}
	ok, known := h.compare(hash, password)
	if !known {
		h.compare(h.dummy, password)
		return identity.Verdict{}, nil
	}
	return identity.Verdict{OK: ok, Stale: ok && !strings.HasPrefix(hash, h.prefix())}, nil
}

func (h *Hasher) slot(ctx context.Context) (func(), error) {
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, fault.Unavailablef("too many logins at once").Because(ctx.Err())
	}
}

func (h *Hasher) prefix() string {
	if h.cost.Bcrypt != 0 {
		return fmt.Sprintf("$2a$%02d$", h.cost.Bcrypt)
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$", argon2.Version, h.cost.MemoryKiB, h.cost.Passes)
}

func (h *Hasher) encode(password string, salt []byte) string {
	if h.cost.Bcrypt != 0 {
		hash, err := bcrypt.GenerateFromPassword([]byte(password[:min(len(password), bcryptMax)]), h.cost.Bcrypt)
		if err == nil { // it fails for rounds that it does not know, and then argon2id is safe
			return string(hash)
		}
	}
	key := h.argon(password, salt, h.cost.Passes, h.cost.MemoryKiB, 1, keyBytes)
	return h.prefix() + b64.EncodeToString(salt) + "$" + b64.EncodeToString(key)
}

var b64 = base64.RawStdEncoding

// argon is argon2id, in memory that is kept unless it is of other hashes than ours.
func (h *Hasher) argon(password string, salt []byte, passes, memory uint32, lanes uint8, keyLen uint32) []byte {
	if lanes != 1 || int(blocksOf(memory))+scratch > h.memory.blocks {
		return argon2.IDKey([]byte(password), salt, passes, memory, lanes, keyLen)
	}
	r := h.memory.take()
	defer h.memory.give(r)
	return argonID(r.blocks, []byte(password), salt, passes, memory, keyLen, pace.GiveWay)
}

// compare tells whether the password fits, and whether the hash was understood.
func (h *Hasher) compare(hash, password string) (ok, known bool) {
	switch {
	case strings.HasPrefix(hash, "$argon2id$"):
		return h.compareArgon(hash, password)
	case strings.HasPrefix(hash, "$2a$"), strings.HasPrefix(hash, "$2b$"), strings.HasPrefix(hash, "$2y$"):
		if len(password) > bcryptMax {
			password = password[:bcryptMax]
		}
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
		return err == nil, err == nil || err == bcrypt.ErrMismatchedHashAndPassword
	case strings.HasPrefix(hash, "$scrypt$"):
		return compareScrypt(hash, password)
	}
	return false, false
}

// compareArgon reads $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (h *Hasher) compareArgon(hash, password string) (ok, known bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return false, false
	}
	p, err := params(parts[3])
	if err != nil || p["m"] < 8 || p["m"] > maxMemory || p["t"] < 1 || p["t"] > 64 || p["p"] < 1 || p["p"] > 16 {
		return false, false
	}
	salt, err1 := b64.DecodeString(parts[4])
	want, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) < 16 || len(want) > 64 {
		return false, false
	}
	got := h.argon(password, salt, uint32(p["t"]), uint32(p["m"]), uint8(p["p"]), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, true
}

// compareScrypt reads Keystone's $scrypt$ln=16,r=8,p=1$salt$key; some versions
// write + as a dot.
func compareScrypt(hash, password string) (ok, known bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 5 {
		return false, false
	}
	p, err := params(parts[2])
	if err != nil || p["ln"] < 1 || p["ln"] > 20 || 1<<p["ln"] > maxScryptN || p["r"] < 1 || p["r"] > 16 || p["p"] < 1 || p["p"] > 16 {
		return false, false
	}
	plain := strings.NewReplacer(".", "+")
	salt, err1 := b64.DecodeString(plain.Replace(parts[3]))
	want, err2 := b64.DecodeString(plain.Replace(parts[4]))
	if err1 != nil || err2 != nil || len(want) < 16 || len(want) > 64 {
		return false, false
	}
	got, err := scrypt.Key([]byte(password), salt, 1<<p["ln"], p["r"], p["p"], len(want))
	if err != nil {
		return false, false
	}
	return subtle.ConstantTimeCompare(got, want) == 1, true
}

func params(s string) (map[string]int, error) {
	out := map[string]int{}
	for _, pair := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(pair, "=")
		n, err := strconv.Atoi(value)
		if !ok || err != nil {
			return nil, fmt.Errorf("parameter %q of a password hash", pair)
		}
		out[name] = n
	}
	return out, nil
}
