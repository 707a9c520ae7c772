package app

import (
	"net"
	"testing"
)

// Metrics are for who is on the machine, also where the front door has one
// address of its own.
func TestWhoIsHere(t *testing.T) {
	own := &net.TCPAddr{IP: net.ParseIP("10.77.0.1"), Port: 8443}
	for remote, want := range map[string]bool{"127.0.0.1:5": true, "[::1]:5": true, "10.77.0.1:5": true, "[::ffff:10.77.0.1]:5": true,
		"10.77.0.2:5": false, "10.77.0.1": false, "": false, "@": false} {
		if got := isHere(remote, own); got != want {
			t.Errorf("%q: %v", remote, got)
		}
	}
	if isHere("10.77.0.1:5", nil) || isHere("10.77.0.1:5", &net.UnixAddr{Name: "x"}) {
		t.Error("nobody knows which address is our own")
	}
}
