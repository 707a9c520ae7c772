package servers

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/previous"
	"github.com/mekcloud/mek/test/report"
)

// TestMixedVersions runs a server and hosts of which one is of the release
// before, both ways, then brings the others up to date and back.
func TestMixedVersions(t *testing.T) {
	if os.Getenv("MEK_BINARY") == "" || os.Getenv("MEK_SOAK") == "" {
		t.Skip("builds the release before: make soak")
	}
	r := report.Start(t, "F9", report.Seed(t))
	now := os.Getenv("MEK_BINARY")
	old, commit := previous.Build(t)
	r.Measured("N-1", commit)
	for name, binaries := range map[string][2]string{"server N, agents N-1": {now, old}, "server N-1, agents N": {old, now}} {
		t.Run(name, func(t *testing.T) {
			w := newAlone(t, hosts, nil, func(name string) string {
				if strings.HasPrefix(name, "server") {
					return binaries[0]
				}
				return binaries[1]
			})
			c := newCrowd(w)
			c.make(20)
			for id := range c.servers("") {
				c.want(http.StatusAccepted, http.MethodPost, "/compute/v2.1/servers/"+id+"/action", object{"reboot": object{"type": "HARD"}})
				break
			}
			// The server changes its version while guests and agents go on.
			for _, binary := range []string{now, old, now} {
				if down := c.replace(binary); down > 5*time.Second {
					r.Violation("%s: %v without an answer", name, down)
				} else {
					r.Unavailable(down)
				}
				r.Fault("server replaced", 1)
				until(t, "the servers are active", time.Minute, func() (bool, string) {
					n := len(c.servers("ACTIVE"))
					return n == 20, http.StatusText(n)
				})
			}
			for id := range c.servers("") {
				c.want(http.StatusNoContent, http.MethodDelete, "/compute/v2.1/servers/"+id, nil)
			}
			until(t, "they are deleted", time.Minute, func() (bool, string) { return len(c.servers("")) == 0, "" })
			r.Operations(40)
		})
	}
}

// replace ends the server and starts another binary on its data; how long
// nobody answered.
func (c *crowd) replace(binary string) time.Duration {
	c.t.Helper()
	p := c.world.servers[0]
	down := time.Now()
	c.must(p.cmd.Process.Signal(os.Interrupt))
	_ = p.cmd.Wait() // of what was asked to end
	p.cmd, p.binary = nil, binary
	p.start()
	until(c.t, "it answers", time.Minute, func() (bool, string) {
		a, err := ask(c.http, http.MethodGet, c.door+"/compute/v2.1/servers", c.token, "", nil)
		return err == nil && a.status == http.StatusOK, say(a, err)
	})
	took := time.Since(down)
	c.world.settled(time.Minute)
	return took
}
