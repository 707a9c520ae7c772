package app

import (
	"crypto/tls"
	"time"

	"github.com/mekcloud/mek/internal/admission"
)

// handshakeTurn is how long a new connection has its place among those that come
// at the same time: the handshake takes about half of it of a processor.
const handshakeTurn = time.Millisecond

// Handshakes are the line of new connections. A handshake costs as much as several
// requests, and nobody knows yet who asks: on all but one of the processors they
// are made in turns, addresses one after the other. Safe for concurrent use.
type Handshakes struct {
	line  *admission.Line
	after func(time.Duration, func()) *time.Timer
}

// NewHandshakes makes the line for a machine of so many processors.
func NewHandshakes(processors int) *Handshakes {
	places := max(1, processors-1)
	return &Handshakes{admission.NewLine(func() int { return places }), time.AfterFunc}
}

// greet has a client wait for its turn, once it has said its hello: one that is
// connected and says nothing takes no place. For tls.Config.GetConfigForClient.
func (h *Handshakes) greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	leave, err := h.line.Enter(hello.Context(), hello.Conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	h.after(handshakeTurn, leave) // not at its end, which the client may put off
	return nil, nil
}
