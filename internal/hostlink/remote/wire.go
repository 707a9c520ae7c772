package remote

import (
	"encoding/hex"
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// maxPayload bounds a document, a report and a command's result.
const maxPayload = 64 << 20

// The last words of the subjects.
const (
	sayHello  = "hello"
	sayBeat   = "beat"
	sayReport = "report"
	sayTell   = "tell"
	askAccept = "doc"
	askAmend  = "delta"
	askDo     = "cmd"
	askForget = "forget"
	askDial   = "dial"
)

func toServer(host, word string) string {
	return "mek.s." + hex.EncodeToString([]byte(host)) + "." + word
}
func toAgent(host, word string) string {
	return "mek.a." + hex.EncodeToString([]byte(host)) + "." + word
}
func inbox(host string) string { return "_INBOX_" + hex.EncodeToString([]byte(host)) }

// hostIn finds the host in a subject that toServer made.
func hostIn(subject string) (string, bool) {
	const before = len("mek.s.")
	end := len(subject) - 1
	for end > before && subject[end] != '.' {
		end--
	}
	if end <= before {
		return "", false
	}
	host, err := hex.DecodeString(subject[before:end])
	return string(host), err == nil && len(host) > 0
}

// hello begins a session, under a name that the agent gives it. What the server
// asks carries the name: the agent does nothing for a session that is over.
type hello struct {
	hostlink.Hello
	Session string `json:"session"`
}

// inSession is the header of what the server asks.
const inSession = "Mek-Session"

// welcome answers a hello.
type welcome struct {
	Streams string `json:"streams"`          // port of the stream listener, on the host of the bus
	Deltas  bool   `json:"deltas,omitempty"` // the server takes reports of what changed
}

// beat prolongs a lease.
type beat struct {
	Session string          `json:"session"`
	Held    []hostlink.Held `json:"held"`
}

// beaten answers a beat.
type beaten struct {
	Known bool `json:"known"` // false: say hello
}

// dial asks an agent to dial the stream listener.
type dial struct {
	ID     string          `json:"id"`
	Kind   string          `json:"kind"`
	Params json.RawMessage `json:"params,omitempty"`
}

// reply is every answer on the bus.
type reply struct {
	Value json.RawMessage     `json:"value,omitempty"`
	Error *hostlink.WireError `json:"error,omitempty"`
}

// answer encodes a reply; a value that cannot be encoded becomes the error.
func answer(v any, err error) []byte {
	var r reply
	if err == nil && v != nil {
		r.Value, err = hostlink.Encode(v)
	}
	r.Error = hostlink.PackError(err)
	raw, err := json.Marshal(r)
	if err != nil { // a RawMessage that is not JSON
		raw, _ = json.Marshal(reply{Error: hostlink.PackError(err)}) // of two strings and a number: cannot fail
	}
	return raw
}

// parse decodes a reply into v, which may be nil.
func parse(raw []byte, v any) error {
	var r reply
	if err := json.Unmarshal(raw, &r); err != nil {
		return fault.Internalf("reply on the bus: %w", err)
	}
	if r.Error != nil {
		return r.Error.Err()
	}
	if v == nil || r.Value == nil {
		return nil
	}
	if err := json.Unmarshal(r.Value, v); err != nil {
		return fault.Internalf("value of a reply on the bus: %w", err)
	}
	return nil
}
