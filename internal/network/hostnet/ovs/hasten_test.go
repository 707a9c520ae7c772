package ovs

import (
	"testing"
	"time"
)

// TestHaste: a switch is let in at once while it has little to do, and takes its
// turns like others while it is flooded.
func TestHaste(t *testing.T) {
	t.Parallel()
	var h haste
	ran := 40 * time.Second // before anybody looked
	for i, c := range []struct {
		share          float64
		quick, changed bool
	}{{0, true, true}, {0.1, true, false}, {0.4, true, false}, {0.6, false, true}, {0.9, false, false}, {0.4, false, false}, {0.2, true, true}, {0.49, true, false}} {
		ran += time.Duration(c.share * float64(time.Second))
		if quick, changed := h.look(ran, time.Second); quick != c.quick || changed != c.changed {
			t.Errorf("look %d at %.2f: quick %v, changed %v", i, c.share, quick, changed)
		}
	}
}
