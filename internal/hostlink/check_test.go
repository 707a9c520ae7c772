package hostlink

import (
	"encoding/json"
	"hash/fnv"
	"testing"
)

// TestCheckIsWhatOtherReleasesSay compares the hash that is written out with the
// library's: hosts and servers of several releases compare what they say.
func TestCheckIsWhatOtherReleasesSay(t *testing.T) {
	for _, o := range []ObjectReport{{}, {ID: "a", Phase: Ready, Facts: json.RawMessage(`{"power":"running"}`)}, {ID: "b", Phase: Failed, Error: "no räum", Kept: KeptLost}} {
		h := fnv.New64a()
		for _, part := range []string{o.ID, string(o.Phase), o.Error, string(o.Facts), string(o.Kept)} {
			h.Write([]byte(part))
			h.Write([]byte{0})
		}
		if got, want := o.Check(), h.Sum64(); got != want {
			t.Errorf("%+v: %d, not %d", o, got, want)
		}
	}
}
