package inproc

import (
	"context"
	"encoding/json"
	"io"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/hostlink/hub"
)

// Agent is what Join needs of an agent.
type Agent interface {
	hostlink.Endpoint
	// Hello is what the agent says first on a connection.
	Hello() hostlink.Hello
	// Bind gives the agent the way to the server; Unbind takes it away.
	Bind(up hostlink.Uplink)
	Unbind(up hostlink.Uplink)
}

// Join connects an agent. leave ends the connection; it may be called twice.
func Join(ctx context.Context, h *hub.Hub, a Agent) (leave func(), err error) {
	return JoinVia(ctx, h, a, a, func(up hostlink.Uplink) hostlink.Uplink { return up })
}

// JoinVia connects an agent through wrappers of both directions (package faulty).
func JoinVia(ctx context.Context, h *hub.Hub, a Agent, end hostlink.Endpoint, wrap func(hostlink.Uplink) hostlink.Uplink) (leave func(), err error) {
	hello := a.Hello()
	link, err := h.Up(ctx, hello.Facts.Host, hello, end, true)
	if err != nil {
		return nil, err
	}
	up := wrap(&uplink{hub: h, link: link, host: hello.Facts.Host})
	a.Bind(up)
	return func() {
		a.Unbind(up)
		link.Down()
	}, nil
}

// uplink is the server as an agent of the same process sees it.
type uplink struct {
	hub  *hub.Hub
	link *hub.Link
	host string
}

func (u *uplink) Deltas() bool { return true }

func (u *uplink) Report(ctx context.Context, r hostlink.Report) error { return u.link.Report(ctx, r) }

func (u *uplink) Open(ctx context.Context, kind string, params any) (io.ReadWriteCloser, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, fault.Internalf("parameters of stream %s: %w", kind, err)
	}
	return u.hub.Serve(ctx, u.host, kind, raw)
}

func (u *uplink) Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return fault.Internalf("parameters of message %s: %w", verb, err)
	}
	return u.link.Tell(ctx, hostlink.Message{Section: section, Object: object, Verb: verb, Params: raw})
}
