package checksum_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/objectstore/s3/checksum"
)

// Values published with the algorithms (the check value of "123456789") and by
// the hash functions' standards.
func TestKnownSums(t *testing.T) {
	for name, want := range map[string]string{
		"CRC32": "y/Q5Jg==", "CRC32C": "4waSgw==", "CRC64NVME": "rosUhgp5mIg=",
		"SHA1": "98O8HYCOBHMq32eZZczDTKeuNEE=", "SHA256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	} {
		a, ok := checksum.ByName(name)
		if !ok {
			t.Fatalf("no algorithm %s", name)
		}
		h := a.New()
		h.Write([]byte("123456789"))
		got := checksum.Encode(h.Sum(nil))
		if got != want {
			t.Errorf("%s of 123456789 is %s, want %s", name, got, want)
		}
		if !a.Valid(got) || a.Valid(got+"=") || a.Valid("") {
			t.Errorf("%s: Valid is wrong", name)
		}
		if back, ok := checksum.ByHeader(a.Header()); !ok || back.Name != name {
			t.Errorf("%s is not found by its header %s", name, a.Header())
		}
	}
}

// The joined sum of parts is the sum of the whole.
func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := checksum.ByName(rapid.SampledFrom([]string{"CRC32", "CRC32C", "CRC64NVME"}).Draw(t, "algorithm"))
		whole := a.New()
		var parts []checksum.Part
		for _, content := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 6).Draw(t, "parts") {
			h := a.New()
			h.Write(content)
			whole.Write(content)
			parts = append(parts, checksum.Part{Sum: checksum.Encode(h.Sum(nil)), Size: int64(len(content))})
		}
		got, ok := a.Join(checksum.FullObject, parts)
		if want := checksum.Encode(whole.Sum(nil)); !ok || got != want {
			t.Fatalf("joined %q (%v), want %q", got, ok, want)
		}
	})
}

func TestTypes(t *testing.T) {
	sha, _ := checksum.ByName("sha256")
	if _, ok := sha.Join(checksum.FullObject, []checksum.Part{{Sum: checksum.Encode(make([]byte, 32)), Size: 1}}); ok {
		t.Error("a SHA256 of the whole cannot come from its parts")
	}
	if _, ok := sha.Join(checksum.Composite, []checksum.Part{{Sum: "damaged", Size: 1}}); ok {
		t.Error("a damaged sum was joined")
	}
	nvme, _ := checksum.ByName("CRC64NVME")
	if _, ok := nvme.Join(checksum.Composite, []checksum.Part{{Sum: checksum.Encode(make([]byte, 8)), Size: 1}}); ok {
		t.Error("CRC64NVME has no composite type")
	}
	if _, ok := checksum.ByHeader("X-Amz-Checksum-Md5"); ok {
		t.Error("MD5 is no such algorithm")
	}
}
