package ovs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Flows are written as ovs-ofctl would, but without a program to start for each
// change: on a busy host that takes longer than the change.

// flows are those of a bridge, as messages that add them, by the port they are for.
type flows map[int][]string

// since is what makes these flows out of others that were written, of which so
// many are there: of all, where some are missing. gone are ports whose flows are
// to be removed first.
func (f flows) since(was flows, there int) (gone []int, add []string, whole bool) {
	if whole = was == nil || there < was.count(); !whole {
		for _, port := range slices.Sorted(maps.Keys(was)) {
			if !slices.Equal(was[port], f[port]) {
				gone = append(gone, port)
			}
		}
	}
	for _, port := range slices.Sorted(maps.Keys(f)) {
		if whole || !slices.Equal(was[port], f[port]) {
			add = append(add, f[port]...)
		}
	}
	return gone, add, whole
}

func (f flows) count() (n int) {
	for _, list := range f {
		n += len(list)
	}
	return n
}

// fields are what a frame is told by, and what an action sets: in OpenFlow's words,
// what a field depends on before it.
type fields []byte

// The classes of fields.
const (
	ofBasic  = 0x8000
	ofNicira = 1
)

func (f fields) add(class uint16, number byte, value ...byte) fields {
	f = binary.BigEndian.AppendUint16(f, class)
	return append(append(f, number<<1, byte(len(value))), value...)
}

func (f fields) add16(number byte, value uint16) fields {
	return f.add(ofBasic, number, byte(value>>8), byte(value))
}

func (f fields) inPort(n uint32) fields {
	return f.add(ofBasic, 0, binary.BigEndian.AppendUint32(nil, n)...)
}

func (f fields) ethernet(kind uint16) fields       { return f.add16(5, kind) }
func (f fields) to(mac []byte) fields              { return f.add(ofBasic, 3, mac...) }
func (f fields) from(mac []byte) fields            { return f.add(ofBasic, 4, mac...) }
func (f fields) protocol(n byte) fields            { return f.add(ofBasic, 10, n) }
func (f fields) source(a netip.Addr) fields        { return f.add(ofBasic, 11, a.AsSlice()...) }
func (f fields) destination(a netip.Addr) fields   { return f.add(ofBasic, 12, a.AsSlice()...) }
func (f fields) tcpSource(port uint16) fields      { return f.add16(13, port) }
func (f fields) tcpDestination(port uint16) fields { return f.add16(14, port) }
func (f fields) udp(source, dest uint16) fields    { return f.add16(15, source).add16(16, dest) }
func (f fields) icmp6(kind byte) fields            { return f.protocol(58).add(ofBasic, 29, kind) }
func (f fields) whole() fields                     { return f.add(ofNicira, 26, 0) } // no fragment
func (f fields) register14(v uint32) fields {
	return f.add(ofNicira, 14, binary.BigEndian.AppendUint32(nil, v)...)
}

// The kinds of frames, and protocols, that flows are about.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	protoTCP  = 6
	protoUDP  = 17
)

// actions are done to a frame that matches, one after the other. None: it is dropped.
type actions []byte

// set sets one field.
func (a actions) set(f fields) actions {
	size := (4 + len(f) + 7) &^ 7
	a = binary.BigEndian.AppendUint16(a, 25)
	a = binary.BigEndian.AppendUint16(a, uint16(size))
	return append(append(a, f...), make([]byte, size-4-len(f))...)
}

// again begins anew in the first table.
func (a actions) again() actions {
	return append(a, 0xff, 0xff, 0, 16, 0, 0, 0x23, 0x20, 0, 14, 0xff, 0xf8, 0, 0, 0, 0)
}

func (a actions) output(port uint32) actions {
	a = append(a, 0, 0, 0, 16)
	return append(binary.BigEndian.AppendUint32(a, port), make([]byte, 8)...)
}

// ofLocal is the port that a bridge's own link is.
const ofLocal = 0xfffffffe

// flow is one in the first table.
type flow struct {
	cookie   uint64
	priority uint16
	match    fields
	meter    uint32 // that frames pass first; 0: none
	do       actions
}

// The commands of changes of flows.
const (
	flowAdd    = 0
	flowDelete = 3
)

// added is the message that adds a flow.
func (f flow) added() string {
	var does []byte
	if f.meter != 0 {
		does = binary.BigEndian.AppendUint32([]byte{0, 6, 0, 8}, f.meter)
	}
	if len(f.do) > 0 {
		does = append(does, 0, 4)
		does = binary.BigEndian.AppendUint16(does, uint16(8+len(f.do)))
		does = append(append(does, 0, 0, 0, 0), f.do...)
	}
	return string(append(f.message(flowAdd, 0), does...))
}

// removed is the message that removes the flows with a cookie, or whatever theirs
// is, that match as this one does or more narrowly.
func (f flow) removed() string {
	mask := ^uint64(0)
	if f.cookie == everyCookie {
		mask = 0
	}
	return string(f.message(flowDelete, mask))
}

func (f flow) message(command byte, mask uint64) []byte {
	b := make([]byte, 40, 128)
	binary.BigEndian.PutUint64(b, f.cookie)
	binary.BigEndian.PutUint64(b[8:], mask)
	b[17] = command
	binary.BigEndian.PutUint16(b[22:], f.priority)
	for _, at := range []int{24, 28, 32} { // no buffer; of any port and group
		binary.BigEndian.PutUint32(b[at:], ofAll)
	}
	b = append(b, 0, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(f.match)))
	b = append(b, f.match...)
	return append(b, make([]byte, (8-(4+len(f.match))%8)%8)...)
}

// renew makes a bridge's flows with a cookie those that are wanted, by what differs
// from those that were written; of is which flows are a port's. Where some are
// missing it writes all, and what nobody wrote goes, too.
func (b *bridge) renew(was, want flows, cookie uint64, of func(port int) flow) error {
	there, err := b.countFlows(cookie)
	if err != nil {
		return err
	}
	gone, add, whole := want.since(was, there)
	var changes []string
	for _, port := range gone {
		changes = append(changes, of(port).removed())
	}
	if whole {
		changes = []string{flow{cookie: cookie}.removed()}
	}
	return b.change(append(changes, add...))
}

// The words of bundles.
const (
	ofFlowMod       = 14
	ofBundleControl = 33
	ofBundleAdd     = 34

	bundleOpen      = 0
	bundleCommit    = 4
	bundleCommitted = 5
	bundleWhole     = 3 // atomic and in order
)

// change makes changes of flows all together, or none.
func (b *bridge) change(messages []string) error {
	if len(messages) == 0 {
		return nil
	}
	control := func(kind uint16) []byte { return []byte{0, 0, 0, 1, byte(kind >> 8), byte(kind), 0, bundleWhole} }
	if err := b.send(ofBundleControl, control(bundleOpen)); err != nil {
		return err
	}
	for _, m := range messages {
		inner := append([]byte{0, 0, 0, 1, 0, 0, 0, bundleWhole}, b.head(ofFlowMod, b.last+1, len(m))...)
		if err := b.send(ofBundleAdd, append(inner, m...)); err != nil {
			return err
		}
	}
	if err := b.send(ofBundleControl, control(bundleCommit)); err != nil {
		return err
	}
	for {
		kind, number, body, err := b.read()
		switch {
		case err != nil:
			return err
		case kind == ofError:
			return fmt.Errorf("flows: %w", refusal(body))
		case kind == ofBundleControl && number == b.last:
			if len(body) < 6 || binary.BigEndian.Uint16(body[4:]) != bundleCommitted {
				return errors.New("flows: an answer of another kind")
			}
			return nil
		}
	}
}
