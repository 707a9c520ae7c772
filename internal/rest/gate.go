package rest

import (
	"context"
	"net/http"

	"github.com/mekcloud/mek/internal/event"
)

// admit asks the gate once it is known who asks: a project, a user without one,
// or an address, which a bad token is counted for as well. What a request asks
// of other services in this process was let in with it: were it to wait for a
// place again, all places could be taken by those who wait.
func (s *Server) admit(c *Call) (err error) {
	if s.gate == nil || event.ActorOf(c.Context()).RequestID != "" {
		return nil
	}
	caller := c.Auth.ProjectID
	if caller == "" {
		caller = c.Auth.UserID
	}
	c.turn, err = s.gate.Admit(c.Context(), caller, c.RemoteAddr, c.Method)
	return err
}

// run waits for a place to work in.
func (c *Call) run() error {
	if c.turn == nil {
		return nil
	}
	return c.turn.Run(c.Context())
}

// rest gives the place back: what is sent to the client takes as long as the client.
func (c *Call) rest() {
	if c.turn != nil {
		c.turn.Rest()
	}
}

// watch has a transfer end when its credentials do.
func (c *Call) watch() {
	lasting, ok := c.server.auth.(Lasting)
	if c.turn == nil || c.watched || !ok || c.Auth.UserID == "" {
		return
	}
	c.watched = true
	who := c.Auth
	c.turn.Watch(c.W, func(ctx context.Context) error { return lasting.StandsNow(ctx, who) })
}

// pace has a large body read piece by piece, in turn with those of others, or
// what is copied instead of one.
func (c *Call) pace() (release func()) {
	if c.turn == nil {
		return func() {}
	}
	within, body, release := c.turn.Pace(c.Context(), c.Body)
	c.Request = c.Request.WithContext(within)
	c.Body = body
	return release
}

// paceAnswer has a large answer sent piece by piece, as pace.
func (c *Call) paceAnswer(w http.ResponseWriter) (paced http.ResponseWriter, release func()) {
	if c.turn == nil {
		return w, func() {}
	}
	return c.turn.Send(c.Context(), w)
}

// setOff begins what the request sets off, behind its answer, which would
// otherwise be handed to the system when all else is done.
func (c *Call) setOff(w http.ResponseWriter) {
	if c.later.Waits() {
		_ = http.NewResponseController(w).Flush() // a client that left needs no answer
		c.later.Run()
	}
}

// leave ends the turn, and charges the lengths of the bodies as they were said.
func (c *Call) leave() {
	if c.turn == nil {
		return
	}
	bytes := max(c.ContentLength, 0)
	for _, length := range c.W.Header()["Content-Length"] {
		bytes += parseLength(length)
	}
	c.turn.Leave(bytes)
}

// parseLength reads what we wrote; anything else counts as nothing.
func parseLength(text string) (n int64) {
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' || n > 1<<50 {
			return 0
		}
		n = n*10 + int64(digit-'0')
	}
	return n
}
