package consoles

import (
	"context"
	"io"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/policy"
)

// tokenLife is how long an address waits to be opened.
const tokenLife = 10 * time.Minute

// Servers loads a server as it is now, whoever asks.
type Servers interface {
	Get(ctx context.Context, serverID string) (*compute.Server, error)
}

// Screens opens byte streams on hosts; hostlink.Hosts is one.
type Screens interface {
	Open(ctx context.Context, host, kind string, params any) (io.ReadWriteCloser, error)
}

// Consoles is the service behind the API and the page. Safe for concurrent use.
type Consoles struct {
	db      *db.DB
	clock   clock.Clock
	servers Servers
	screens Screens
	people  identity.Standing
}

// New makes the service.
func New(d *db.DB, c clock.Clock, servers Servers, screens Screens, people identity.Standing) *Consoles {
	return &Consoles{d, c, servers, screens, people}
}

// grant mints a token for a server's console of a kind, "novnc".
func (s *Consoles) grant(ctx context.Context, server *compute.Server, kind string, asks *policy.Credentials, record event.Record) (token string, err error) {
	if !compute.Allows("remote-console", server.VM, server.Task) || server.Host == "" {
		return "", fault.Conflictf("Instance %s is not ready", server.ID)
	}
	token = id.Secret(32)
	now := s.clock.Now()
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := sweep(ctx, tx, clock.Micros(now)); err != nil {
			return err
		}
		r := &row{Hash: hash(token), ServerID: server.ID, Build: server.BuildSerial, Kind: kind, ExpiresAt: clock.Micros(now.Add(tokenLife)),
			Standing: s.people.Standing(asks)}
		if err := rows.Insert(ctx, tx, r); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return token, err
}

// open uses a token up and connects to the screen it is for. standing is of who
// asked for the token.
func (s *Consoles) open(ctx context.Context, token string) (screen io.ReadWriteCloser, standing string, err error) {
	r, err := take(ctx, s.db, token, clock.Micros(s.clock.Now()))
	if err != nil {
		return nil, "", err
	}
	if err := s.people.Stands(ctx, r.Standing); err != nil {
		return nil, "", err
	}
	server, err := s.servers.Get(ctx, r.ServerID)
	if err != nil {
		return nil, "", err
	}
	if server.BuildSerial != r.Build || server.Host == "" {
		return nil, "", fault.NotFoundf("The server is not the one this token was for.")
	}
	screen, err = s.screens.Open(ctx, server.Host, "vnc", map[string]string{"id": server.ID})
	return screen, r.Standing, err
}

// look is how often it is asked whether who has a console open may still.
const look = 400 * time.Millisecond

// follow waits until who has a console open may no longer, or until it is over.
func (s *Consoles) follow(ctx context.Context, standing string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(look):
		}
		err := s.people.Stands(ctx, standing)
		if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) {
			return err // any other failure says nothing about him
		}
	}
}

// peek looks at a token without using it up. NotFound when it no longer works.
func (s *Consoles) peek(ctx context.Context, token string) (*row, error) {
	r, err := rows.Get(ctx, s.db, hash(token))
	if fault.Is(err, fault.NotFound) || err == nil && (r.Used || r.ExpiresAt <= clock.Micros(s.clock.Now())) {
		return nil, fault.NotFoundf("Token not found")
	}
	return r, err
}
