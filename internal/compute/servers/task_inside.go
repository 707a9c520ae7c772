package servers

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/outbox"
)

// ask runs a one-shot on a server's guest whose outcome the request answers.
// Nothing is kept of it: a caller that gets no answer asks again.
func (s *Servers) ask(ctx context.Context, one *Server, verb string, params, answer any) error {
	token := id.New()
	raw, err := s.Agents.Do(ctx, one.Host, hostlink.Command{Token: token, Section: hostlink.Guests, Object: one.ID, Verb: verb,
		Params: mustJSON(params), Timeout: 30 * time.Second})
	if forgot := s.Agents.Forget(ctx, one.Host, token); err == nil {
		err = forgot
	}
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fault.Internalf("answer of %s to %s: %w", one.ID, verb, err)
	}
	return nil
}

// passwordLimit is the longest password that a guest may post, in bytes.
const passwordLimit = 255

// Told takes over what a host tells of a guest: that it is about to run for the
// first time, or the password that it posted, once (hostlink's observer of
// messages of section guests). A host may speak only of servers that are on it.
func (s *Servers) Told(ctx context.Context, host string, m hostlink.Message) error {
	if m.Verb == hostlink.VerbStart {
		return s.mayStart(ctx, host, m.Object)
	}
	var in struct {
		Password string `json:"password"`
	}
	if m.Verb != "password" || json.Unmarshal(m.Params, &in) != nil || len(in.Password) > passwordLimit {
		return fault.Invalidf("guests tell nothing of this kind")
	}
	return s.DB.Write(ctx, func(tx *db.Tx) error {
		one, err := lockServer(ctx, tx, m.Object)
		if err == nil && (one.Host != host || !one.Defined) {
			err = notFound(m.Object)
		}
		if err != nil {
			return err
		}
		switch one.Password {
		case in.Password:
			return nil // told twice
		case "":
		default:
			return fault.Conflictf("The server has a password already.")
		}
		one.Password = in.Password
		if err := put(ctx, tx, one); err != nil {
			return err
		}
		if _, err := s.raise(ctx, tx, host, one.ID); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, event.Record{Service: "compute", Action: "password.post", Kind: "server", Object: one.ID, ProjectID: one.ProjectID})
	})
}
