package ovs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"

	"github.com/mekcloud/mek/internal/fault"
)

// Bridges are spoken to by the driver itself: meters, flows, and the count of ours,
// which is asked every few seconds.

// The words of OpenFlow 1.4 that are spoken here.
const (
	ofVersion = 5

	ofHello            = 0
	ofError            = 1
	ofEchoRequest      = 2
	ofEchoReply        = 3
	ofSetConfig        = 9
	ofMultipartRequest = 18
	ofMultipartReply   = 19
	ofBarrierRequest   = 20
	ofBarrierReply     = 21
	ofMeterMod         = 29

	ofAggregate    = 2
	ofMeterConfigs = 10

	ofFragments = 3 // matched by themselves

	ofAll     = 0xffffffff // meters, ports, groups
	ofAllFlow = 0xff       // tables

	ofHeader    = 8
	ofMostWords = 64 << 10
)

// bridge is a conversation with a bridge. Not for concurrent use.
type bridge struct {
	conn net.Conn
	last uint32 // number of a message
}

// talk runs f in a conversation with a bridge.
func (d *Driver) talk(ctx context.Context, name string, f func(*bridge) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.cfg.Run, name+".mgmt"))
	if err != nil {
		return fault.Unavailablef("bridge %s does not answer", name).Because(err)
	}
	defer func() { _ = conn.Close() }() // what was said is said
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	b := &bridge{conn: conn}
	if err := b.send(ofHello, nil); err != nil {
		return err
	}
	if err := f(b); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return nil
}

func (b *bridge) send(kind byte, body []byte) error {
	b.last++
	_, err := b.conn.Write(append(b.head(kind, b.last, len(body)), body...))
	return err
}

// head begins a message with so many bytes behind it.
func (b *bridge) head(kind byte, number uint32, size int) []byte {
	m := make([]byte, ofHeader, ofHeader+size)
	m[0], m[1] = ofVersion, kind
	binary.BigEndian.PutUint16(m[2:], uint16(ofHeader+size))
	binary.BigEndian.PutUint32(m[4:], number)
	return m
}

// read gives the next message, answering what bridges ask meanwhile.
func (b *bridge) read() (kind byte, number uint32, body []byte, err error) {
	for {
		var head [ofHeader]byte
		if _, err := io.ReadFull(b.conn, head[:]); err != nil {
			return 0, 0, nil, err
		}
		size := int(binary.BigEndian.Uint16(head[2:]))
		if size < ofHeader {
			return 0, 0, nil, errors.New("a message that is shorter than its head")
		}
		body = make([]byte, size-ofHeader)
		if _, err := io.ReadFull(b.conn, body); err != nil {
			return 0, 0, nil, err
		}
		switch head[1] {
		case ofHello:
		case ofEchoRequest:
			if err := b.send(ofEchoReply, body); err != nil {
				return 0, 0, nil, err
			}
		default:
			return head[1], binary.BigEndian.Uint32(head[4:]), body, nil
		}
	}
}

// ask gives the body of the answer to a multipart request, all parts together.
func (b *bridge) ask(what uint16, body []byte) ([]byte, error) {
	request := make([]byte, 8, 8+len(body))
	binary.BigEndian.PutUint16(request, what)
	if err := b.send(ofMultipartRequest, append(request, body...)); err != nil {
		return nil, err
	}
	var out []byte
	for len(out) <= ofMostWords*ofMostWords {
		kind, number, part, err := b.read()
		switch {
		case err != nil:
			return nil, err
		case number != b.last:
		case kind == ofError:
			return nil, refusal(part)
		case kind == ofMultipartReply && len(part) >= 8:
			out = append(out, part[8:]...)
			if part[3]&1 == 0 { // no more to come
				return out, nil
			}
		}
	}
	return nil, errors.New("an answer without end")
}

// settle waits until all that was said is done, and tells what was refused.
func (b *bridge) settle() error {
	if err := b.send(ofBarrierRequest, nil); err != nil {
		return err
	}
	var refused []error
	for {
		kind, number, body, err := b.read()
		switch {
		case err != nil:
			return errors.Join(append(refused, err)...)
		case kind == ofError:
			refused = append(refused, refusal(body))
		case kind == ofBarrierReply && number == b.last:
			return errors.Join(refused...)
		}
	}
}

func refusal(body []byte) error {
	if len(body) < 4 {
		return errors.New("refused")
	}
	return fmt.Errorf("refused: OpenFlow error %d, %d", binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]))
}

// everyCookie counts flows whatever their cookie is.
const everyCookie = 0

// countFlows counts the flows with a cookie.
func (b *bridge) countFlows(cookie uint64) (int, error) {
	body := make([]byte, 40)
	body[0] = ofAllFlow
	binary.BigEndian.PutUint32(body[4:], ofAll)
	binary.BigEndian.PutUint32(body[8:], ofAll)
	binary.BigEndian.PutUint64(body[16:], cookie)
	if cookie != everyCookie {
		binary.BigEndian.PutUint64(body[24:], ^uint64(0))
	}
	binary.BigEndian.PutUint32(body[32:], 1<<16|4) // a match of everything
	answer, err := b.ask(ofAggregate, body)
	if err != nil {
		return 0, err
	}
	if len(answer) < 20 {
		return 0, errors.New("a count that is too short")
	}
	return int(binary.BigEndian.Uint32(answer[16:])), nil
}
