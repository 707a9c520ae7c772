package qemu

import (
	"os"
	"testing"
)

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 (a) b) R 1 2 3"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, state, err := parseStat(data); err == nil && state == 0 {
			t.Error("no state and no error")
		}
	})
}
