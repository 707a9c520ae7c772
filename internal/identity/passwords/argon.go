package passwords

import (
	"encoding/binary"
	"hash"
	"runtime"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

// argon2.IDKey takes fresh memory for each hash, which has to be cleared, is
// touched for the first time page by page, and is the collector's to find again:
// a fifth of the time of a login. Here the same function (RFC 9106, of one lane)
// works in memory that was used before. The work on a block is that package's.

// block is the unit of argon2's memory: 1 KiB.
type block [128]uint64

const (
	quarters = 4 // of a pass
	modeID   = 2 // argon2id
	argonV   = argon2.Version
	turn     = 512 // blocks that are worked on without looking for others: a third of a millisecond
	scratch  = 3   // blocks that are worked in beside those of the memory
)

// blocksOf is how many blocks so many KiB are.
func blocksOf(memory uint32) uint32 { return max(memory/quarters*quarters, 2*quarters) }

// argonID is argon2.IDKey of one lane, in room for blocksOf(memory)+scratch
// blocks whose content does not matter.
//
// giveWay is called after each turn of the work.
func argonID(room []block, password, salt []byte, passes, memory, keyLen uint32, giveWay func()) []byte {
	n := blocksOf(memory)
	b := room[:n]
	first(b, password, salt, passes, memory, keyLen)
	for pass := range passes {
		for slice := range uint32(quarters) {
			segment(b, room[n:n+scratch], pass, slice, passes, giveWay)
			runtime.Gosched() // whoever waits for a processor waits for two milliseconds, not for all
		}
	}
	var last [1024]byte
	for i, v := range b[n-1] {
		binary.LittleEndian.PutUint64(last[i*8:], v)
	}
	key := make([]byte, keyLen)
	blake(key, last[:])
	return key
}

// first fills the first two blocks.
func first(b []block, password, salt []byte, passes, memory, keyLen uint32) {
	sum, _ := blake2b.New512(nil) // fails for keys that are too long
	number := func(v uint32) { sum.Write(binary.LittleEndian.AppendUint32(nil, v)) }
	for _, v := range []uint32{1, keyLen, memory, passes, argonV, modeID} {
		number(v)
	}
	for _, text := range [][]byte{password, salt, nil, nil} {
		number(uint32(len(text)))
		sum.Write(text)
	}
	seed := append(sum.Sum(nil), make([]byte, 8)...)
	var text [1024]byte
	for i := range uint32(2) {
		binary.LittleEndian.PutUint32(seed[blake2b.Size:], i)
		blake(text[:], seed)
		for j := range b[i] {
			b[i][j] = binary.LittleEndian.Uint64(text[j*8:])
		}
	}
}

// segment fills a quarter of the memory. Within the first half of the first pass
// the blocks that are mixed in do not depend on the password.
func segment(b, own []block, pass, slice, passes uint32, giveWay func()) {
	lane := uint32(len(b))
	length := lane / quarters
	blind := pass == 0 && slice < quarters/2
	addresses, in, zero := &own[0], &own[1], &own[2]
	*in, *zero = block{0: uint64(pass), 2: uint64(slice), 3: uint64(lane), 4: uint64(passes), 5: modeID}, block{}
	more := func() {
		in[6]++
		mix(addresses, in, zero)
		mix(addresses, addresses, zero)
	}
	index := uint32(0)
	if pass == 0 && slice == 0 {
		index = 2 // there already
		more()
	}
	for ; index < length; index++ {
		if index%turn == turn-1 {
			giveWay()
		}
		at := slice*length + index
		prev := at - 1
		if at == 0 {
			prev = lane - 1
		}
		random := b[prev][0]
		if blind {
			if index%uint32(len(addresses)) == 0 {
				more()
			}
			random = addresses[index%uint32(len(addresses))]
		}
		with := reference(random, lane, length, pass, slice, index)
		if pass == 0 {
			mix(&b[at], &b[prev], &b[with])
		} else {
			mixInto(&b[at], &b[prev], &b[with])
		}
	}
}

// reference is which block is mixed in: of those that are there, later ones more often.
func reference(random uint64, lane, length, pass, slice, index uint32) uint32 {
	size, start := 3*length+index, (slice+1)%quarters*length
	if pass == 0 {
		size, start = slice*length+index, 0
	}
	size--
	p := random & 0xffffffff
	p = p * p >> 32
	p = p * uint64(size) >> 32
	return uint32((uint64(start) + uint64(size) - (p + 1)) % uint64(lane))
}

// blake is argon2's hash of any length.
func blake(out, in []byte) {
	sum := mustBlake(min(len(out), blake2b.Size))
	sum.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(out))))
	sum.Write(in)
	v := sum.Sum(nil)
	for len(out) > blake2b.Size {
		copy(out, v[:blake2b.Size/2])
		out = out[blake2b.Size/2:]
		sum = mustBlake(min(len(out), blake2b.Size))
		sum.Write(v)
		v = sum.Sum(nil)
	}
	copy(out, v)
}

func mustBlake(size int) hash.Hash {
	sum, err := blake2b.New(size, nil)
	if err != nil { // sizes are those of keys and blocks
		panic("passwords: " + err.Error())
	}
	return sum
}
