package hub

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/fence"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Do runs a one-shot on a host.
func (h *Hub) Do(ctx context.Context, name string, cmd hostlink.Command) (json.RawMessage, error) {
	if cmd.Token == "" {
		return nil, fault.Internalf("command %s of %s without a token", cmd.Verb, cmd.Object)
	}
	if cmd.Timeout <= 0 {
		cmd.Timeout = time.Minute
	}
	link, err := h.link(name)
	if err != nil {
		err = h.away(name, err)
	} else {
		err = fence.Check(ctx) // after the link was chosen: the agent refuses what comes by one that was given up
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := h.while(ctx, link, cmd.Timeout+time.Second) // the agent's own deadline is the earlier one
	defer cancel()
	result, err := link.end.Command(ctx, cmd)
	return result, unknown(err)
}

// Forget lets the agent drop a token's result.
func (h *Hub) Forget(ctx context.Context, name, token string) error {
	link, err := h.link(name)
	if err != nil {
		return h.away(name, err)
	}
	ctx, cancel := h.while(ctx, link, acceptTimeout)
	defer cancel()
	return unknown(link.end.Forget(ctx, token))
}

// Open asks the agent for a byte stream. ctx bounds the opening; the stream
// lives until it is closed.
func (h *Hub) Open(ctx context.Context, name, kind string, params any) (io.ReadWriteCloser, error) {
	link, err := h.link(name)
	if err != nil {
		return nil, h.away(name, err)
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, fault.Internalf("parameters of stream %s: %w", kind, err)
	}
	ctx, cancel := h.while(ctx, link, acceptTimeout)
	defer cancel()
	stream, err := link.end.Stream(ctx, kind, raw)
	return stream, unknown(err)
}

func (h *Hub) link(name string) (*Link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.hosts[name]; known != nil && h.holds(known.link) {
		return known.link, nil
	}
	return nil, fault.Unavailablef("host %s cannot be reached", name)
}

// away is what link answers, naming the server that the host can be reached
// from, if there is one.
func (h *Hub) away(name string, err error) error {
	server := h.elsewhere(name)
	if server == "" {
		return err
	}
	f := fault.Unavailablef("host %s cannot be reached from this server", name).Because(err)
	f.Detail = map[string]any{hostlink.Elsewhere: server}
	return f
}

// unknown turns the end of a context into what it means: nobody knows the outcome.
func unknown(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Unavailablef("the host did not answer in time").Because(err)
	}
	return err
}

// Facts is what a host last said of itself.
func (h *Hub) Facts(name string) (hostlink.Facts, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.hosts[name]
	if known == nil || known.facts.Host == "" {
		return hostlink.Facts{}, false
	}
	return known.facts, true
}

// Await blocks until the host reported the object at a revision or later. An
// object that a settled report does not list is Absent.
func (h *Hub) Await(ctx context.Context, name string, s hostlink.Section, revision int64, object string) (hostlink.ObjectReport, error) {
	h.want(name, s, revision)
	if !h.hears(name) && h.elsewhere(name) != "" {
		return hostlink.ObjectReport{}, h.away(name, fault.Unavailablef("host %s reports elsewhere", name))
	}
	for {
		h.mu.Lock()
		st := h.host(name).state(s)
		found, settled := st.answer(revision, object)
		changed := st.changed
		h.mu.Unlock()
		if settled {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return hostlink.ObjectReport{}, fault.Unavailablef("host %s has not reported in time", name).Because(ctx.Err())
		case <-h.ctx.Done():
			return hostlink.ObjectReport{}, fault.Unavailablef("the server is stopping")
		}
	}
}

// Tell passes a message on to those who registered for its section.
func (l *Link) Tell(ctx context.Context, m hostlink.Message) error {
	for _, f := range l.hub.onTell[m.Section] {
		if err := f(ctx, l.host.name, m); err != nil {
			return err
		}
	}
	return nil
}
