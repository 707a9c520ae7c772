package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// KeyHeader is the header in which a client names a request that changes
// something. Repeating it under the same name within a day answers what the
// first answered, and changes nothing more. The name is that of the draft
// "The Idempotency-Key HTTP Header Field" of the IETF.
const KeyHeader = "Idempotency-Key"

// maxKey bounds the header's length.
const maxKey = 255

// Outcome is what a request under a key came to.
type Outcome struct {
	Request string // digest of the request
	Object  string // id of what the request made or changed
	Status  int    // 0: it was carried out, and its answer was lost
	Header  http.Header
	Body    []byte
}

// Answers remembers them. The key is claimed by the transaction of the change,
// which finds it in the context (event.Actor).
type Answers interface {
	// Find gives the answer of a key; nil when nothing was done under it.
	Find(ctx context.Context, key string) (*Outcome, error)
	// Save completes a claim that was made under the key.
	Save(ctx context.Context, key string, a Outcome) error
}

// once runs a handler, unless the request was carried out before.
func (c *Call) once(handle Handler) (Reply, error) {
	name := c.Header.Get(KeyHeader)
	answers := c.server.answers
	if name == "" || answers == nil || c.route.Raw || c.Auth.UserID == "" || c.Method == http.MethodGet || c.Method == http.MethodHead {
		return handle(c)
	}
	if len(name) > maxKey {
		return Reply{}, fault.Invalidf("The header %s has more than %d characters.", KeyHeader, maxKey)
	}
	key, request := digest(c.Auth.UserID, c.Auth.ProjectID, name), digest(c.Method, c.URL.RequestURI(), c.Action, string(c.payload))
	before, err := answers.Find(c.Context(), key)
	if err != nil {
		return Reply{}, err
	}
	if before != nil {
		return c.repeat(before, request)
	}
	actor := event.ActorOf(c.Context())
	actor.ClientKey, actor.Request = key, request
	c.Request = c.Request.WithContext(event.WithActor(c.Context(), actor))
	reply, err := handle(c)
	if err != nil || reply.Stream != nil || reply.Status >= http.StatusMultipleChoices {
		return reply, err // nothing was done
	}
	done := Outcome{Request: request, Status: reply.Status, Header: reply.Header.Clone()}
	if done.Header == nil {
		done.Header = http.Header{}
	}
	if done.Status == 0 {
		done.Status = http.StatusOK
	}
	if done.Body, err = reply.encode(done.Header); err == nil {
		err = answers.Save(context.WithoutCancel(c.Context()), key, done)
	}
	if err != nil {
		c.server.log.Warn("an answer is not kept; who repeats the request is shown the object", "request", c.RequestID, "error", err)
	}
	return reply, nil
}

// repeat answers a request that was carried out before.
func (c *Call) repeat(a *Outcome, request string) (Reply, error) {
	c.authorised = true // it was, when the request was carried out
	switch {
	case a.Request != request:
		return Reply{}, fault.Invalidf("The %s of this request was used for another one.", KeyHeader)
	case a.Status != 0:
		return Reply{Status: a.Status, Header: a.Header, Body: orNil(a.Body)}, nil
	case c.Method == http.MethodDelete:
		return Reply{Status: c.done(http.StatusNoContent)}, nil
	case c.Action != "":
		return Reply{Status: http.StatusAccepted}, nil
	}
	path := c.URL.Path
	if c.Method == http.MethodPost {
		path = strings.TrimSuffix(path, "/") + "/" + a.Object
	}
	shown, err := c.server.show(c, path)
	if err != nil {
		return Reply{}, fault.Conflictf("The request was carried out before, and its answer was lost: see %s.", a.Object).Because(err)
	}
	if c.Method == http.MethodPost {
		shown.Status = c.done(http.StatusCreated)
	}
	return shown, nil
}

func orNil(body []byte) any {
	if len(body) == 0 {
		return nil
	}
	return body
}

// done is the status of a change: services that work afterwards say Accepted.
func (c *Call) done(status int) int {
	if (c.service.Name == "nova" || c.service.Name == "cinder") && c.Method == http.MethodPost || c.service.Name == "cinder" {
		return http.StatusAccepted
	}
	return status
}

// show asks for an object on behalf of a call.
func (s *Server) show(c *Call, path string) (Reply, error) {
	r := c.Request.Clone(c.Context())
	r.Method, r.Body, r.ContentLength, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = http.MethodGet, http.NoBody, 0, path, "", ""
	r.Header.Del(KeyHeader)
	again := &Call{Request: r, W: c.W, policy: c.policy, service: c.service, server: s, Auth: c.Auth, RequestID: c.RequestID}
	reply, err := s.answer(again, c.mounted, strings.TrimPrefix(path, c.service.Prefix))
	if err == nil && reply.Status >= http.StatusMultipleChoices {
		err = fmt.Errorf("it is answered with %d", reply.Status)
	}
	return reply, err
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p) // a hash never fails to write
	}
	return hex.EncodeToString(h.Sum(nil))
}
