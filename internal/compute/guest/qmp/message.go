package qmp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxLine bounds one message. The largest seen (a schema) has 200 KiB; what a
// driver asks for has a few.
const maxLine = 4 << 20

// errLine ends a connection whose peer does not keep to the bound.
var errLine = errors.New("message is longer than any the protocol has")

// Event is something QEMU tells by itself.
type Event struct {
	Name string          `json:"event"` // for example "SHUTDOWN"
	Data json.RawMessage `json:"data,omitempty"`
	At   time.Time       `json:"-"`
}

// Error is the answer to a command that QEMU refused.
type Error struct {
	Class string `json:"class"` // "GenericError", "DeviceNotFound", "CommandNotFound"
	Desc  string `json:"desc"`  // for logs: may name files
}

// Error gives class and text.
func (e *Error) Error() string { return "qmp: " + e.Class + ": " + e.Desc }

// Version is QEMU's, from its greeting.
type Version struct {
	Major   int    `json:"major"`
	Minor   int    `json:"minor"`
	Micro   int    `json:"micro"`
	Package string `json:"-"`
}

// message is any line that QEMU sends.
type message struct {
	QMP *struct {
		Version struct {
			QEMU    Version `json:"qemu"`
			Package string  `json:"package"`
		} `json:"version"`
		Capabilities []string `json:"capabilities"`
	} `json:"QMP"`
	ID        *uint64         `json:"id"`
	Return    json.RawMessage `json:"return"`
	Error     *Error          `json:"error"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
}

// request is what we send.
type request struct {
	Execute   string `json:"execute,omitempty"`
	OOB       string `json:"exec-oob,omitempty"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id"`
}

// reader cuts a stream into messages.
type reader struct{ r *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, 16<<10)} }

// next is the next message; io.EOF when the stream ended between two.
func (r *reader) next() (message, error) {
	for {
		line, err := r.line()
		if err != nil {
			return message{}, err
		}
		if len(line) == 0 {
			continue
		}
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return message{}, fmt.Errorf("decode message: %w", err)
		}
		return m, nil
	}
}

// line is one line without its end; an unfinished last one is an error.
func (r *reader) line() ([]byte, error) {
	var whole []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if len(whole)+len(part) > maxLine {
			return nil, errLine
		}
		whole = append(whole, part...)
		switch {
		case err == nil:
			return trimEnd(whole), nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(whole) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func trimEnd(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r' || line[len(line)-1] == ' ') {
		line = line[:len(line)-1]
	}
	return line
}
