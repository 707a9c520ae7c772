package checksum

import (
	"crypto/sha1" //nolint:gosec // the client's choice, against damage only
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// HeaderPrefix begins the headers and trailers that carry a checksum.
const HeaderPrefix = "X-Amz-Checksum-"

// The types of a checksum of an object made of parts.
const (
	FullObject = "FULL_OBJECT" // of all bytes
	Composite  = "COMPOSITE"   // of the parts' checksums, followed by "-" and their number
)

// Algorithm is one way to sum.
type Algorithm struct {
	Name string // as x-amz-checksum-algorithm has it: "CRC32"
	Size int    // bytes of a sum
	make func() hash.Hash
	// poly is the reflected polynomial of a cyclic code, whose sums can be joined; otherwise 0.
	poly uint64
}

var (
	castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })
	nvme       = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(nvmePoly) })
)

// nvmePoly is CRC-64/NVME, reflected.
const nvmePoly = 0x9a6c9329ac4bc9b5

var algorithms = []Algorithm{
	{"CRC32", 4, func() hash.Hash { return crc32.NewIEEE() }, crc32.IEEE},
	{"CRC32C", 4, func() hash.Hash { return crc32.New(castagnoli()) }, crc32.Castagnoli},
	{"CRC64NVME", 8, func() hash.Hash { return crc64.New(nvme()) }, nvmePoly},
	{"SHA1", sha1.Size, sha1.New, 0},
	{"SHA256", sha256.Size, sha256.New, 0},
}

// ByName finds an algorithm, in any case of letters.
func ByName(name string) (Algorithm, bool) {
	i := slices.IndexFunc(algorithms, func(a Algorithm) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return Algorithm{}, false
	}
	return algorithms[i], true
}

// ByHeader finds the algorithm of a header such as x-amz-checksum-crc32.
func ByHeader(header string) (Algorithm, bool) {
	if len(header) < len(HeaderPrefix) || !strings.EqualFold(header[:len(HeaderPrefix)], HeaderPrefix) {
		return Algorithm{}, false
	}
	return ByName(header[len(HeaderPrefix):])
}

// Header is the canonical name of the header that carries this checksum.
func (a Algorithm) Header() string {
	return HeaderPrefix + a.Name[:1] + strings.ToLower(a.Name[1:])
}

// New starts a sum.
func (a Algorithm) New() hash.Hash { return a.make() }

// Valid tells whether a value could be a sum of this algorithm.
func (a Algorithm) Valid(value string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(value)
	return err == nil && len(raw) == a.Size
}

// Encode is a sum as headers have it.
func Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// Types are the types that an object made of parts may have, the default first.
func (a Algorithm) Types() []string {
	switch {
	case a.Name == "CRC64NVME":
		return []string{FullObject}
	case a.poly != 0:
		return []string{Composite, FullObject}
	}
	return []string{Composite}
}

// Part is one part of an object: its sum and its length in bytes.
type Part struct {
	Sum  string // base64
	Size int64
}

// Join computes the sum of an object from those of its parts; false when a sum
// is missing or malformed, or when parts of this algorithm have no such type.
func (a Algorithm) Join(kind string, parts []Part) (string, bool) {
	if len(parts) == 0 || !slices.Contains(a.Types(), kind) {
		return "", false
	}
	sums := make([][]byte, len(parts))
	for i, p := range parts {
		raw, err := base64.StdEncoding.Strict().DecodeString(p.Sum)
		if err != nil || len(raw) != a.Size {
			return "", false
		}
		sums[i] = raw
	}
	if kind == Composite {
		h := a.New()
		for _, s := range sums {
			h.Write(s)
		}
		return Encode(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), true
	}
	width := uint(a.Size * 8)
	total := number(sums[0])
	for i := 1; i < len(parts); i++ {
		total = combine(a.poly, width, total, number(sums[i]), parts[i].Size)
	}
	return Encode(bytesOf(total, a.Size)), true
}

func number(sum []byte) uint64 {
	var n uint64
	for _, b := range sum {
		n = n<<8 | uint64(b)
	}
	return n
}

func bytesOf(n uint64, size int) []byte {
	out := make([]byte, size)
	for i := size - 1; i >= 0; i-- {
		out[i], n = byte(n), n>>8
	}
	return out
}

// combine gives the code of two byte strings, one after the other, from their
// codes and the length of the second: the first is multiplied by x to the power
// of that many bits, modulo the polynomial.
func combine(poly uint64, width uint, first, second uint64, secondBytes int64) uint64 {
	shifted := first
	square := uint64(1) << (width - 2) // x, in reflected order
	for range 3 {                      // bits of a byte: x to the eighth
		square = multiply(poly, width, square, square)
	}
	for n := secondBytes; n > 0; n >>= 1 {
		if n&1 != 0 {
			shifted = multiply(poly, width, shifted, square)
		}
		square = multiply(poly, width, square, square)
	}
	return shifted ^ second
}

// multiply is the product of two polynomials modulo poly, all in reflected
// order: the highest bit is the coefficient of 1.
func multiply(poly uint64, width uint, a, b uint64) uint64 {
	var product uint64
	for mask := uint64(1) << (width - 1); mask != 0; mask >>= 1 {
		if a&mask != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ poly
		} else {
			b >>= 1
		}
	}
	return product
}
