package testcloud

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/rest"
)

// Handler is the front door without a socket.
func (c *Cloud) Handler() http.Handler { return c.app.Handler }

// Objects is the object store's own port without a socket.
func (c *Cloud) Objects() http.Handler { return c.app.Objects }

// Services are the APIs that are mounted, with their routes.
func (c *Cloud) Services() []*rest.Service { return c.app.REST.Services() }

// Shift moves the cloud's clock away from the machine's, by d in all.
func (c *Cloud) Shift(d time.Duration) { c.clock.by.Store(int64(d)) }

// shifted is the machine's clock, set forward or back.
type shifted struct {
	clock.Real
	by atomic.Int64
}

func (s *shifted) Now() time.Time { return s.Real.Now().Add(time.Duration(s.by.Load())) }

// Unlimited lets everyone ask as much as they like.
func Unlimited(c *config.Config) {
	l := &c.Limits
	l.Reads, l.Writes, l.MiB, l.Strangers = 0, 0, 0, 0
	l.Open, l.Alone, l.Share = 10000, 1000, 1000
}
