package formpolicy_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/s3/formpolicy"
)

func FuzzPolicy(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Add(`{"expiration":"2026-03-02T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key","u/"],["content-length-range",0,10]]}`)
	f.Add(`{"expiration":"2026-03-02T00:00:00Z","conditions":[["content-length-range","1","x"],[],[1,2,3],{"a":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := formpolicy.Read(base64.StdEncoding.EncodeToString([]byte(text)), now)
		if err != nil {
			if failure.As(err) == nil {
				t.Fatalf("no answer: %v", err)
			}
			return
		}
		err = p.Check("b", []string{"key", "extra"}, func(n string) string { return map[string]string{"key": "u/x", "extra": "y"}[n] })
		if err == nil && (!strings.Contains(strings.ToLower(text), "extra") && !strings.Contains(text, `\u`) && !strings.Contains(text, "İ")) {
			t.Fatal("a field that no condition names was let through")
		}
	})
}
