package hostlink

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"sync"

	"github.com/mekcloud/mek/internal/fault"
)

// Held names the document a host has accepted of a section.
type Held struct {
	Section  Section `json:"section"`
	Revision int64   `json:"revision"`
	Digest   string  `json:"digest"`
	Epoch    int64   `json:"epoch,omitempty"`
}

// HostSection names a section of a host.
type HostSection struct {
	Host    string
	Section Section
}

// Accepted is a document that a host has on disk.
type Accepted struct {
	Host string
	Held
}

// Message is what Upstream.Tell carries.
type Message struct {
	Section Section         `json:"section"`
	Object  string          `json:"object"`
	Verb    string          `json:"verb"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// Hello is what an agent says first on each connection.
type Hello struct {
	Facts   Facts    `json:"facts"`
	Held    []Held   `json:"held"`
	Reports []Report `json:"reports"`
	// Deltas: the agent takes deltas of documents. Listed says what those that it
	// holds list, where it knows, so that deltas of them can be made.
	Deltas bool         `json:"deltas,omitempty"`
	Listed []HeldListed `json:"listed,omitempty"`
}

// HeldListed is what a held document lists, on its way.
type HeldListed struct {
	Section Section  `json:"section"`
	Member  string   `json:"member"`
	IDs     []string `json:"ids"`
	Sums    []byte   `json:"sums"` // one after the other
}

// PackListed makes it fit for travel.
func PackListed(s Section, l Listed) HeldListed {
	out := HeldListed{Section: s, Member: l.Member, IDs: make([]string, 0, len(l.Objects)), Sums: make([]byte, 0, len(l.Objects)*len(Sum{}))}
	for _, o := range l.Objects {
		out.IDs, out.Sums = append(out.IDs, o.ID), append(out.Sums, o.Sum[:]...)
	}
	return out
}

// Listed is the list again; what cannot be one is empty, which has another digest.
func (h HeldListed) Listed() Listed {
	l := Listed{Member: h.Member}
	if len(h.Sums) != len(h.IDs)*len(Sum{}) {
		return l
	}
	for i, id := range h.IDs {
		l.Objects = append(l.Objects, Listing{id, Sum(h.Sums[i*len(Sum{}):])})
	}
	return l
}

// Endpoint is an agent as a placement sees it; package agent implements it and
// package remote stands in for it at the server. Safe for concurrent use.
type Endpoint interface {
	// Accept takes a document and returns once it is on disk, not once it is
	// applied. Conflict when a newer one is held already.
	Accept(ctx context.Context, doc Document) error
	// Amend is Accept for what makes the new document out of the one that is held.
	// Conflict with code WholeWanted when it does not. Only for an agent whose
	// hello said that it takes deltas.
	Amend(ctx context.Context, delta Delta) error
	// Command runs a one-shot, or returns what it returned before.
	Command(ctx context.Context, cmd Command) (json.RawMessage, error)
	// Forget drops the result of a token.
	Forget(ctx context.Context, token string) error
	// Stream opens a byte stream of one of the agent's sections.
	Stream(ctx context.Context, kind string, params json.RawMessage) (io.ReadWriteCloser, error)
}

// Uplink is the server as an agent's placement offers it while connected.
type Uplink interface {
	Upstream
	// Report delivers a section's report. An error means: send it again later,
	// and one with code WholeWanted: the whole.
	Report(ctx context.Context, r Report) error
	// Deltas tells whether the server takes reports of what changed.
	Deltas() bool
}

// WireError is a fault on its way between server and agent: the private cause stays behind.
type WireError struct {
	Kind uint8  `json:"kind"`
	Text string `json:"text"`
	Code string `json:"code,omitempty"`
}

// PackError makes an error fit for travel; nil stays nil. The text of an
// unclassified error travels for the other side's log; rest never shows it.
func PackError(err error) *WireError {
	if err == nil {
		return nil
	}
	f := fault.As(err)
	text := f.Text
	if text == "" || f.Kind == fault.Internal {
		text = err.Error()
	}
	return &WireError{Kind: uint8(f.Kind), Text: text, Code: f.Code}
}

// Err is the fault again; nil stays nil.
func (w *WireError) Err() error {
	if w == nil {
		return nil
	}
	return &fault.Fault{Kind: fault.Kind(w.Kind), Text: w.Text, Code: w.Code}
}

// Relay is an Upstream that exists before there is a connection: drivers are
// built with it, placements bind it, once for each server of the cloud. Any of
// the servers can answer; one that cannot be reached is passed over. Without a
// connection it answers Unavailable. The zero value is ready; safe for concurrent use.
type Relay struct {
	mu  sync.Mutex
	ups []Uplink
}

// Bind adds a connection.
func (r *Relay) Bind(up Uplink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ups = append(slices.Clone(r.ups), up)
}

// Unbind takes a connection away; twice is fine.
func (r *Relay) Unbind(up Uplink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ups = slices.DeleteFunc(slices.Clone(r.ups), func(u Uplink) bool { return u == up })
}

// Current is the oldest connection, or Unavailable.
func (r *Relay) Current() (Uplink, error) {
	all := r.all()
	if len(all) == 0 {
		return nil, unreachable()
	}
	return all[0], nil
}

func (r *Relay) all() []Uplink {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ups
}

func unreachable() error { return fault.Unavailablef("the server cannot be reached") }

// Open dials a server for bytes.
func (r *Relay) Open(ctx context.Context, kind string, params any) (stream io.ReadWriteCloser, err error) {
	err = r.first(func(up Uplink) (err error) {
		stream, err = up.Open(ctx, kind, params)
		return err
	})
	return stream, err
}

// Tell sends a small message of a section.
func (r *Relay) Tell(ctx context.Context, section Section, object, verb string, params any) error {
	return r.first(func(up Uplink) error { return up.Tell(ctx, section, object, verb, params) })
}

// first asks one server after the other until one answers.
func (r *Relay) first(ask func(Uplink) error) error {
	err := unreachable()
	for _, up := range r.all() {
		if err = ask(up); !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.NotFound) {
			return err // not every server has everything, such as the network's databases
		}
	}
	return err
}
