package app

import (
	"crypto/tls"
	"time"

	"github.com/mekcloud/mek/internal/admission"
)

// handshakeTurn is how long a new connection has its place among those that come
// at the same time: the handshake takes about half of it of a processor.
const handshakeTurn = time.Millisecond

// handshakes are the line of new connections. A handshake costs as much as several
// requests, and nobody knows yet who asks: on all but one of the processors they
// are made in turns, addresses one after the other. Safe for concurrent use.
type handshakes struct {
	line  *admission.Line
	after func(time.Duration, func()) *time.Timer
}

func newHandshakes(processors int) *handshakes {
	places := max(1, processors-1)
	return &handshakes{admission.NewLine(func() int { return places }), time.AfterFunc}
}

// greet has a client wait for its turn, once it has said its hello: one that is
// connected and says nothing takes no place. For tls.Config.GetConfigForClient.
func (h *handshakes) greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	leave, err := h.line.Enter(hello.Context(), hello.Conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	h.after(handshakeTurn, leave) // not at its end, which the client may put off
	return nil, nil
}
