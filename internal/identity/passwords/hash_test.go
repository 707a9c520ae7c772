package passwords

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

func TestHashesAreCheckedAndUpgraded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := New(DefaultCost, 2)
	fresh, err := h.Hash(ctx, "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(fresh, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("new hash is %q", fresh)
	}
	old, err := bcrypt.GenerateFromPassword([]byte("s3cret"), 4)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 80)
	oldLong, err := bcrypt.GenerateFromPassword([]byte(long[:72]), 4)
	if err != nil {
		t.Fatal(err)
	}
	// made by passlib: scrypt.using(rounds=4).hash("s3cret", salt=b"0123456789abcdef")
	const scrypted = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"
	for _, c := range []struct {
		name, hash, password string
		want                 identity.Verdict
	}{
		{"argon2id", fresh, "s3cret", identity.Verdict{OK: true}},
		{"argon2id wrong", fresh, "s3cret ", identity.Verdict{}},
		{"bcrypt", string(old), "s3cret", identity.Verdict{OK: true, Stale: true}},
		{"bcrypt wrong", string(old), "S3cret", identity.Verdict{}},
		{"bcrypt is cut at 72 bytes", string(oldLong), long, identity.Verdict{OK: true, Stale: true}},
		{"no password", "", "", identity.Verdict{}},
		{"unknown kind", "plain", "plain", identity.Verdict{}},
		{"scrypt without a key", scrypted, "s3cret", identity.Verdict{}},
		{"weaker argon2id", New(Cost{MemoryKiB: 64, Passes: 1}, 1).dummy, "no", identity.Verdict{}},
	} {
		got, err := h.Check(ctx, c.hash, c.password)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

// The figure comes from Python's hashlib: scrypt(b"s3cret", salt=b"0123456789abcdef", n=16, r=8, p=1, dklen=32).
func TestScryptOfKeystone(t *testing.T) {
	t.Parallel()
	const hash = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MomXuMw9YekkEH5CXhpWEZ7aT3P7uIj0zEYtEnXoIY4"
	got, err := New(Cost{MemoryKiB: 64, Passes: 1}, 1).Check(context.Background(), hash, "s3cret")
	if err != nil || got != (identity.Verdict{OK: true, Stale: true}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBcryptOnRequest(t *testing.T) {
	t.Parallel()
	h := New(Cost{MemoryKiB: 64, Passes: 1, Bcrypt: 4}, 1)
	hash, err := h.Hash(context.Background(), strings.Repeat("x", 100))
	if err != nil || !strings.HasPrefix(hash, "$2a$04$") {
		t.Fatalf("%q, %v", hash, err)
	}
	if v, err := h.Check(context.Background(), hash, strings.Repeat("x", 100)); err != nil || v != (identity.Verdict{OK: true}) {
		t.Errorf("%+v %v", v, err)
	}
	if v, _ := h.Check(context.Background(), New(Cost{MemoryKiB: 64, Passes: 1}, 1).dummy, "no"); v.OK {
		t.Error("a wrong password fits")
	}
}

func TestTooLongIsRefused(t *testing.T) {
	t.Parallel()
	h := New(Cost{MemoryKiB: 64, Passes: 1}, 1)
	long := strings.Repeat("x", MaxLength+1)
	if _, err := h.Hash(context.Background(), long); !fault.Is(err, fault.Invalid) {
		t.Errorf("hash: %v", err)
	}
	if v, err := h.Check(context.Background(), h.dummy, long); v.OK || err != nil {
		t.Errorf("check: %+v %v", v, err)
	}
}

func TestFullHasherGivesUp(t *testing.T) {
	t.Parallel()
	h := New(Cost{MemoryKiB: 64, Passes: 1}, 1)
	release, err := h.slot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := h.Check(ctx, h.dummy, "x"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func FuzzCompare(f *testing.F) {
	h := New(Cost{MemoryKiB: 64, Passes: 1}, 1)
	for _, s := range []string{h.dummy, "$2b$04$abc", "$scrypt$ln=4,r=8,p=1$AAAA$AAAA", "$argon2id$v=19$m=,t=2$", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		if strings.HasPrefix(hash, "$2") && len(hash) > 6 && hash[4:6] > "06" {
			t.Skip("valid but slow cost")
		}
		if strings.Contains(hash, "m=") && len(hash) > 200 {
			t.Skip("valid but slow cost")
		}
		if ok, known := h.compare(hash, "pass"); ok && !known {
			t.Fatal("matched a hash it did not understand")
		}
	})
}
