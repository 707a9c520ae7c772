package ovs_test

import (
	"testing"
)

func spoofing(t *testing.T, a, b *guest) {
}

func drift(t *testing.T, h *host, w *world) {
}
