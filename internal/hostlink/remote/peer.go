package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/nats-io/nats.go"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
)

// peer stands in for an agent at the server.
type peer struct {
	s       *Server
	host    string
	session string
}

var _ hostlink.Endpoint = peer{}

func (p peer) Accept(ctx context.Context, doc hostlink.Document) error {
	return p.ask(ctx, askAccept, doc, nil)
}

func (p peer) Amend(ctx context.Context, delta hostlink.Delta) error {
	return p.ask(ctx, askAmend, delta, nil)
}

func (p peer) Command(ctx context.Context, cmd hostlink.Command) (json.RawMessage, error) {
	var out json.RawMessage
	err := p.ask(ctx, askDo, cmd, &out)
	return out, err
}

func (p peer) Forget(ctx context.Context, token string) error {
	return p.ask(ctx, askForget, token, nil)
}

// Stream has the agent dial the stream listener and waits for it.
func (p peer) Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error) {
	d := dial{ID: id.Secret(16), Kind: kind, Params: params}
	arrived, forget := p.s.streams.expect(p.host, d.ID)
	defer forget()
	if err := p.ask(ctx, askDial, d, nil); err != nil {
		return nil, err
	}
	select {
	case conn := <-arrived:
		return conn, nil
	case <-ctx.Done():
		return nil, fault.Unavailablef("host %s has not opened the stream", p.host).Because(ctx.Err())
	}
}

func (p peer) ask(ctx context.Context, word string, body, out any) error {
	return request(ctx, p.s.nc, toAgent(p.host, word), nats.Header{inSession: {p.session}}, body, out)
}

// request asks over the bus. Unavailable when there is no answer.
func request(ctx context.Context, nc *nats.Conn, subject string, header nats.Header, body, out any) error {
	raw, err := hostlink.Encode(body)
	if err != nil {
		return fault.Internalf("encode for %s: %w", subject, err)
	}
	if len(raw) > maxPayload {
		return fault.Internalf("%d bytes for %s are more than the bus takes", len(raw), subject)
	}
	m, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: header, Data: raw})
	if err != nil {
		text := "no answer"
		if errors.Is(err, nats.ErrNoResponders) {
			text = "nobody is listening"
		}
		return fault.Unavailablef("%s", text).Because(err)
	}
	return parse(m.Data, out)
}
