package passwords

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/mekcloud/mek/internal/id"
)

// TestArgonIsArgon holds that hashes are those of argon2, whatever the memory
// held before.
func TestArgonIsArgon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		passes, memory, keyLen uint32
		password               string
	}{
		{1, 8, 32, ""}, {1, 9, 16, "x"}, {2, 64, 32, "s3cret"}, {3, 1031, 64, "s3cret"}, {1, 600, 100, "long keys take several hashes"},
		{2, 19 * 1024, 32, "as they are made"}, {5, 700, 33, string(id.Bytes(200))},
	} {
		n := blocksOf(c.memory) + scratch
		dirty := make([]block, n)
		for i := range dirty {
			for j, b := range id.Bytes(len(dirty[i])) {
				dirty[i][j] = uint64(b) << 13
			}
		}
		salt := id.Bytes(saltBytes)
		want := argon2.IDKey([]byte(c.password), salt, c.passes, c.memory, 1, c.keyLen)
		if got := argonID(dirty, []byte(c.password), salt, c.passes, c.memory, c.keyLen, func() {}); !bytes.Equal(got, want) {
			t.Errorf("%d passes over %d KiB: %x, want %x", c.passes, c.memory, got, want)
		}
	}
}

// TestMemoryIsKeptAndGivenBack: one room for one hash after the other, as many
// as there are hashes at once, and none when nobody logs in.
func TestMemoryIsKeptAndGivenBack(t *testing.T) {
	t.Parallel()
	m := &memory{blocks: 16}
	a, b := m.take(), m.take()
	if a == b || &a.blocks[0] == &b.blocks[0] {
		t.Fatal("two hashes in one memory")
	}
	m.give(a)
	if again := m.take(); again != a {
		t.Error("what is free is not used")
	}
	m.give(a)
	m.give(b)
	if len(m.free) != 2 || !m.sweep.Reset(time.Hour) {
		t.Fatalf("%d kept, and nobody gives them back", len(m.free))
	}
	m.drop()
	if len(m.free) != 0 {
		t.Error("memory is not given back")
	}
}

// TestHashesAtOnce would see hashes that share memory.
func TestHashesAtOnce(t *testing.T) {
	t.Parallel()
	h := New(Cost{MemoryKiB: 256, Passes: 2}, 4)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				password := id.Secret(8)
				hash, err := h.Hash(context.Background(), password)
				if err != nil {
					t.Error(err)
					return
				}
				if v, err := h.Check(context.Background(), hash, password); err != nil || !v.OK {
					t.Errorf("its own password does not fit: %+v, %v", v, err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkHash(b *testing.B) {
	h, ctx := New(DefaultCost, 1), context.Background()
	for b.Loop() {
		if _, err := h.Hash(ctx, "a password"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkArgon is what a hash takes in fresh memory.
func BenchmarkArgon(b *testing.B) {
	for b.Loop() {
		argon2.IDKey([]byte("a password"), []byte("0123456789abcdef"), DefaultCost.Passes, DefaultCost.MemoryKiB, 1, keyBytes)
	}
}

// TestHashesGiveWay (I-36): a hash lets others have its processor after every few
// hundred blocks, from its beginning to its end.
func TestHashesGiveWay(t *testing.T) {
	t.Parallel()
	const memory, passes = 19 * 1024, 2
	ways := 0
	argonID(make([]block, blocksOf(memory)+scratch), []byte("a password"), make([]byte, saltBytes), passes, memory, keyBytes, func() { ways++ })
	if want := passes * quarters * (memory / quarters / turn); ways != want {
		t.Errorf("it gave way %d times, want %d", ways, want)
	}
}
