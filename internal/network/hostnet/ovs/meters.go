package ovs

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// What guests send is held to so many frames and bytes a second where it comes
// in: the switch is one for all guests of a host. Meters do it, since they work
// in both datapaths; a policer of the kernel on the tap would come behind the
// point where the userspace datapath reads. Flows in front of OVN's lead each
// frame of a port through its meters and then begin anew: the number of the
// logical port is written by OVN's own first flow, so it is free to say how far a
// frame has come.
//
// What a guest is sent is shaped by a queue on its tap, and only where a flavor
// says so: who sends it was held to the like.

// meter is one meter of a port.
type meter struct {
	id     uint32
	frames bool   // counts frames, not kbit
	rate   uint32 // a second
	burst  uint32 // at once
}

// Numbers of meters: OVN counts its own from 1 on. A port has two.
const (
	firstMeter = 1 << 14
	lastMeter  = 1<<16 - 1
)

// The flows through meters come behind the guards, so that what is dropped there
// counts for nothing, and in front of OVN's.
const meterPriority = guardPriority - 1

// burstPart is the part of a second whose frames or bytes may come at once.
const burstPart = 10

// Cap holds a port to other rates than the host's ports have by default, until
// it is removed. NotFound: no such port here. Invalid: this host cannot do it.
func (d *Driver) Cap(ctx context.Context, portID string, caps hostnet.Caps) error {
	name := d.tap(portID)
	link, err := netlink.LinkByName(name)
	if missing(err) {
		return fault.NotFoundf("port %s is not on this host", portID)
	}
	if err != nil {
		return fmt.Errorf("find tap %s: %w", name, err)
	}
	if err := shape(link, caps); err != nil {
		return err
	}
	d.mu.Lock()
	before := d.caps[portID]
	if caps.OutBytes == 0 {
		delete(d.caps, portID)
	} else {
		d.caps[portID] = caps
	}
	d.mu.Unlock()
	if before.OutBytes == caps.OutBytes && before.OutBurst == caps.OutBurst {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if err := d.keepCaps(ctx, portID); err != nil {
		return err
	}
	return d.guard(ctx)
}

// keepCaps writes the caps of a port where the next agent finds them. One that
// is not joined yet is written when it is.
func (d *Driver) keepCaps(ctx context.Context, portID string) error {
	row, joined := d.db.iface(d.tap(portID))
	want := ""
	if own := d.capsOf(portID); own.OutBytes > 0 {
		want = capsText(own)
	}
	if !joined || row.External[idCaps] == want {
		return nil
	}
	where := []ovsdb.Condition{{Column: "_uuid", Function: ovsdb.ConditionEqual, Value: ovsdb.UUID{GoUUID: row.UUID}}}
	changes := []ovsdb.Mutation{{Column: "external_ids", Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: []any{idCaps}}}}
	if want != "" {
		changes = append(changes, ovsdb.Mutation{Column: "external_ids", Mutator: ovsdb.MutateOperationInsert, Value: ovsMap(map[string]string{idCaps: want})})
	}
	return d.db.commit(ctx, ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Interface", Where: where, Mutations: changes})
}

// capsOf is what a port was capped to; zeros: nothing of its own.
func (d *Driver) capsOf(portID string) hostnet.Caps {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.caps[portID]
}

func capsText(c hostnet.Caps) string { return fmt.Sprintf("%d,%d", c.OutBytes, c.OutBurst) }

// readCaps is the reverse of capsText. What cannot be read caps nothing: the
// default then holds.
func readCaps(text string) (c hostnet.Caps) {
	rate, burst, _ := strings.Cut(text, ",")
	n, err1 := strconv.ParseInt(rate, 10, 64)
	b, err2 := strconv.ParseInt(burst, 10, 64)
	if err1 != nil || err2 != nil || n <= 0 || b < 0 {
		return hostnet.Caps{}
	}
	return hostnet.Caps{OutBytes: n, OutBurst: b}
}

// metersOf are the meters that a port shall have.
func (d *Driver) metersOf(portID string) []meter {
	var out []meter
	first := d.meterOf(portID)
	if first == 0 {
		return nil
	}
	if n := d.cfg.Frames; n > 0 {
		out = append(out, meter{id: first, frames: true, rate: atMost32(n), burst: atMost32(max(n/burstPart, 1))})
	}
	own := d.capsOf(portID)
	rate := cmp.Or(own.OutBytes, d.cfg.Bytes)
	if rate > 0 {
		burst := cmp.Or(own.OutBurst, rate/burstPart)
		out = append(out, meter{id: first + 1, rate: kilobits(rate), burst: max(kilobits(burst), leastBurst)})
	}
	return out
}

// leastBurst in kbit lets two of the largest frames pass.
const leastBurst = 1024

func kilobits(bytes int64) uint32 { return max(atMost32(bytes/125), 1) }

func atMost32(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }

// meterOf gives a port the first of its two numbers; 0: there are none left.
func (d *Driver) meterOf(portID string) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, ok := d.meters[portID]; ok {
		return id
	}
	taken := make(map[uint32]bool, len(d.meters))
	for _, id := range d.meters {
		taken[id] = true
	}
	for id := uint32(firstMeter); id < lastMeter; id += 2 {
		if !taken[id] {
			d.meters[portID] = id
			return id
		}
	}
	return 0
}

// meterFlows lead what comes in by a port, marked or not, through its meters.
func meterFlows(port, mark uint32, meters []meter) (list []string) {
	for k, m := range meters {
		passed := uint32(k + 1)
		list = append(list, flow{cookie: guardCookie, priority: meterPriority, match: fields{}.inPort(port).register14(mark), meter: m.id,
			do: actions{}.set(fields{}.register14(passed)).again()}.added())
		mark = passed
	}
	return list
}

// setMeters makes the bridge's meters those, of the numbers that are ours, and has
// it tell fragments apart: else a first one would have no ports to who writes flows.
func (b *bridge) setMeters(want []meter) error {
	have, err := b.meters()
	if err != nil {
		return err
	}
	if err := b.send(ofSetConfig, []byte{0, ofFragments, 0, 0}); err != nil {
		return err
	}
	for _, m := range want {
		was, there := have[m.id]
		delete(have, m.id)
		switch {
		case !there:
			err = b.send(ofMeterMod, m.message(meterAdd))
		case was != m:
			err = b.send(ofMeterMod, m.message(meterModify))
		default:
			continue
		}
		if err != nil {
			return err
		}
	}
	for id, m := range have {
		if id < firstMeter {
			continue
		}
		if err := b.send(ofMeterMod, m.message(meterDelete)); err != nil {
			return err
		}
	}
	return b.settle()
}

// What is done with a meter, and how it is told.
const (
	meterAdd    = 0
	meterModify = 1
	meterDelete = 2

	meterKbps   = 1
	meterFrames = 2
	meterBurst  = 4
	meterDrop   = 1
)

func (m meter) message(command uint16) []byte {
	b := make([]byte, 24)
	flags := uint16(meterKbps | meterBurst)
	if m.frames {
		flags = meterFrames | meterBurst
	}
	binary.BigEndian.PutUint16(b, command)
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint32(b[4:], m.id)
	binary.BigEndian.PutUint16(b[8:], meterDrop)
	binary.BigEndian.PutUint16(b[10:], 16)
	binary.BigEndian.PutUint32(b[12:], m.rate)
	binary.BigEndian.PutUint32(b[16:], m.burst)
	if command == meterDelete {
		return b[:8]
	}
	return b
}

// meters lists those of the bridge, by number.
func (b *bridge) meters() (map[uint32]meter, error) {
	all := make([]byte, 8)
	binary.BigEndian.PutUint32(all, ofAll)
	answer, err := b.ask(ofMeterConfigs, all)
	if err != nil {
		return nil, err
	}
	return readMeters(answer)
}

func readMeters(b []byte) (map[uint32]meter, error) {
	out := map[uint32]meter{}
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, errors.New("a meter that is too short")
		}
		size := int(binary.BigEndian.Uint16(b))
		if size < 8 || size > len(b) {
			return nil, errors.New("a meter of a wrong length")
		}
		m := meter{id: binary.BigEndian.Uint32(b[4:]), frames: binary.BigEndian.Uint16(b[2:])&meterFrames != 0}
		if size >= 24 { // the first band: ours have one
			m.rate, m.burst = binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
		}
		out[m.id] = m
		b = b[size:]
	}
	return out, nil
}

// shape holds what a guest is sent to its flavor's rates, by a queue on its tap.
func shape(link netlink.Link, c hostnet.Caps) error {
	attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	if c.InBytes == 0 {
		have, err := netlink.QdiscList(link)
		for _, q := range have {
			if _, ours := q.(*netlink.Tbf); ours {
				err = errors.Join(err, netlink.QdiscDel(q))
			}
		}
		if err != nil {
			return fmt.Errorf("queue of %s: %w", link.Attrs().Name, err)
		}
		return nil
	}
	frame := int64(link.Attrs().MTU) + frameOverhead
	burst := max(cmp.Or(c.InBurst, c.InBytes/burstPart), 2*frame)
	q := &netlink.Tbf{QdiscAttrs: attrs, Rate: uint64(c.InBytes), Buffer: netlink.Xmittime(uint64(c.InBytes), atMost32(burst)), Limit: atMost32(burst + max(c.InBytes/queuePart, 8*frame))}
	if c.InPeak > c.InBytes {
		q.Peakrate, q.Minburst = uint64(c.InPeak), atMost32(2*frame)
	}
	if err := netlink.QdiscReplace(q); err != nil {
		return fault.Invalidf("this host cannot shape what is sent to a port as its flavor says").Because(err)
	}
	return nil
}

const (
	frameOverhead = 22 // Ethernet's head and a tag
	queuePart     = 20 // of a second's bytes wait
)
