package servers

import (
	"strings"
	"testing"
)

func FuzzQualified(f *testing.F) {
	for name, want := range map[string][2]bool{"web": {true, true}, "web-1": {true, true}, "-web": {}, "web.example.org": {false, true}, "web.": {}, ".web": {},
		"a..b": {}, "w_b": {}, strings.Repeat("a", 64): {}, strings.Repeat("a", 64) + ".b": {}} {
		if got := [2]bool{qualified(name, false), qualified(name, true)}; got != want {
			f.Errorf("%s: %v, want %v", name, got, want)
		}
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if qualified(name, false) && !qualified(name, true) {
			t.Errorf("%q is a label and not a name", name)
		}
		if qualified(name, true) && strings.ContainsAny(name, " /_\x00\n") {
			t.Errorf("%q is taken for a name", name)
		}
	})
}
