package testcloud

import (
	"net/http"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/rest"
)

// Handler is the front door without a socket.
func (c *Cloud) Handler() http.Handler { return c.app.Handler }

// Objects is the object store's own port without a socket.
func (c *Cloud) Objects() http.Handler { return c.app.Objects }

// Services are the APIs that are mounted, with their routes.
func (c *Cloud) Services() []*rest.Service { return c.app.REST.Services() }

// Unlimited lets everyone ask as much as they like.
func Unlimited(c *config.Config) {
	l := &c.Limits
	l.Reads, l.Writes, l.MiB, l.Strangers = 0, 0, 0, 0
	l.Open, l.Alone, l.Share = 10000, 1000, 1000
}
