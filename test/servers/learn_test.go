package servers

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/pki"
)

// TestTwoServersAreTold joins a host to one server: it learns of the other, goes
// on with that when the first dies, and finds it again after a restart.
func TestTwoServersAreTold(t *testing.T) {
	if testing.Short() || os.Getenv("MEK_BINARY") == "" {
		t.Skip("processes of the built binary: make test")
	}
	w := newWorld(t)
	a := w.process("host-3", []string{"agent", "--simulate"}, map[string]any{"servers": []any{w.buses[0].address()}})
	w.certify(a, pki.RoleAgent, a.conf.Agent().Bus)
	a.start()
	c := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	heard := func(p *process) func() (bool, string) {
		return func() (bool, string) {
			up, why := hostsUp(c, "http://"+p.conf.Listen)
			return up == hosts+1, why
		}
	}
	links := func(want int) func() (bool, string) {
		return func() (bool, string) {
			text := tail(a.log)
			return linksOf(text) >= want, text
		}
	}
	until(t, "the first server hears it", 20*time.Second, heard(w.servers[0]))
	until(t, "it connects with the second", 30*time.Second, links(1))
	w.servers[0].kill()
	until(t, "the second server hears it", 30*time.Second, heard(w.servers[1]))
	a.kill()
	a.start()
	until(t, "it finds the second by itself", 30*time.Second, links(2))
	until(t, "and is heard", 30*time.Second, heard(w.servers[1]))
}
