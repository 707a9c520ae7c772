package ovs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/network/hostnet"
)

// writeMetadata makes the metadata bridge as these ports need it.
func (d *Driver) writeMetadata(ctx context.Context, ports []hostnet.Port) error {
	wanted := map[string]bool{}
	for _, p := range ports {
		if p.MetadataID != "" {
			wanted[p.MetadataID] = true
		}
	}
	if err := d.patches(ctx, wanted); err != nil {
		return err
	}
	want, err := d.leads(ports)
	if err != nil {
		return err
	}
	return d.lead(ctx, want)
}

// Ingress tells which port an address of the metadata range stands for.
func (d *Driver) Ingress(peer netip.Addr) (string, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.ingress[peer.Unmap()]
	return id, ok
}

// patchNames are both ends of a network's patch, on the integration and on the
// metadata bridge.
func (d *Driver) patchNames(metadataID string) (inner, outer string) {
	word := strings.ReplaceAll(metadataID, "-", "")
	word = word[:min(8, len(word))]
	return d.cfg.prefix() + "i" + word, d.cfg.prefix() + "m" + word
}

// patches makes the patches of wanted metadata ports and drops the others.
func (d *Driver) patches(ctx context.Context, wanted map[string]bool) error {
	have := d.db.interfaces(func(i *ifaceRow) bool { return i.External[idPatch] != "" })
	present := map[string]int{}
	var ops []ovsdb.Operation
	for _, i := range have {
		id := i.External[idPatch]
		present[id]++
		if !wanted[id] {
			ops = append(ops, d.db.dropPort(i.Name)...)
		}
	}
	for id := range wanted {
		if present[id] >= 2 {
			continue
		}
		inner, outer := d.patchNames(id)
		ops = append(ops, addPort(d.cfg.Integration(), inner, "patch", map[string]string{"peer": outer}, map[string]string{idIface: id, idPatch: id})...)
		ops = append(ops, addPort(d.cfg.MetadataBridge(), outer, "patch", map[string]string{"peer": inner}, map[string]string{idPatch: id})...)
	}
	return d.db.commit(ctx, ops...)
}

// leads renders the metadata bridge: two flows per port and address, by the number
// that stands for the port, and which the flows carry.
func (d *Driver) leads(ports []hostnet.Port) (flows, error) {
	out, ways := flows{0: {flow{}.added()}}, map[string]uint32{} // what matches nothing is dropped
	for _, p := range ports {
		if p.MetadataID == "" {
			continue
		}
		way, known := ways[p.MetadataID]
		if !known {
			_, outer := d.patchNames(p.MetadataID)
			patch, ok := d.db.iface(outer)
			if !ok || !forwards(patch) {
				return nil, fault.Unavailablef("the switch has no way for metadata of network %s yet", p.NetworkID)
			}
			way = uint32(*patch.Ofport)
			ways[p.MetadataID] = way
		}
		number, err := d.numberOf(p.ID)
		if err == nil {
			out[int(number)], err = d.leadsOf(p, number, way)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// serviceAddress is where guests ask for metadata.
var serviceAddress = netip.MustParseAddr("169.254.169.254")

// leadsOf are the flows of a port, from the patch of its network to the listener
// and back. One address names the port; a second IPv4 address asks through the first.
func (d *Driver) leadsOf(p hostnet.Port, number, way uint32) ([]string, error) {
	at := slices.IndexFunc(p.Addresses, netip.Addr.Is4)
	if at < 0 {
		return nil, nil
	}
	guest, err1 := net.ParseMAC(p.MAC)
	service, err2 := net.ParseMAC(p.MetadataMAC)
	local, err3 := net.ParseMAC(hardwareAddress(d.cfg.MetadataBridge()))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fault.Invalidf("port %s has an address that is none", p.ID).Because(err)
	}
	address, stand, listen := p.Addresses[at], d.standIn(number), d.cfg.MetadataListen()
	there := flow{cookie: uint64(number), priority: 100,
		match: fields{}.inPort(way).from(guest).ethernet(etherIPv4).protocol(protoTCP).source(address).destination(serviceAddress).tcpDestination(80),
		do: actions{}.set(fields{}.source(stand)).set(fields{}.destination(listen.Addr())).set(fields{}.tcpDestination(listen.Port())).
			set(fields{}.to(local)).output(ofLocal)}
	back := flow{cookie: uint64(number), priority: 100,
		match: fields{}.inPort(ofLocal).ethernet(etherIPv4).protocol(protoTCP).source(listen.Addr()).destination(stand).tcpSource(listen.Port()),
		do: actions{}.set(fields{}.source(serviceAddress)).set(fields{}.tcpSource(80)).set(fields{}.destination(address)).
			set(fields{}.from(service)).set(fields{}.to(guest)).output(way)}
	return []string{there.added(), back.added()}, nil
}

// lead makes the metadata bridge's flows those: in one bundle, and what changed
// alone, where the others are there. The caller holds metadataMu.
func (d *Driver) lead(ctx context.Context, want flows) error {
	err := d.talk(ctx, d.cfg.MetadataBridge(), func(b *bridge) error {
		return b.renew(d.led, want, everyCookie, func(number int) flow { return flow{cookie: uint64(number)} })
	})
	if d.led = want; err != nil {
		d.led = nil
	}
	return err
}

// numberOf gives a port the number that stands for it, keeping one it has.
func (d *Driver) numberOf(portID string) (uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.numbers[portID]; ok {
		return n, nil
	}
	// Start at a place of the port's own, so that a number is not soon reused
	// for another one.
	last := uint32(1)<<(32-d.cfg.MetadataRange.Bits()) - 8 // network, both ends of tunnels with their range, listener, next hop, broadcast
	h := sha256.Sum256([]byte(portID))
	start := binary.BigEndian.Uint32(h[:4]) % last
	for i := range last {
		n := (start+i)%last + 1
		if _, taken := d.ingress[d.standIn(n)]; !taken {
			d.numbers[portID], d.ingress[d.standIn(n)] = n, portID
			return n, nil
		}
	}
	return 0, fault.Unavailablef("no address is left to stand for a port on this host")
}

// forget drops what is known of a port.
func (d *Driver) forget(portID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.numbers[portID]; ok {
		delete(d.ingress, d.standIn(n))
		delete(d.numbers, portID)
	}
	delete(d.meters, portID)
	delete(d.caps, portID)
}

// standIn is the address of a number.
func (d *Driver) standIn(n uint32) netip.Addr {
	b := d.cfg.MetadataRange.Masked().Addr().As4()
	v := binary.BigEndian.Uint32(b[:]) + n
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// recall reads the numbers and caps that ports had before the driver was opened.
func (d *Driver) recall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.db.interfaces(isPort) {
		if own := readCaps(i.External[idCaps]); own.OutBytes > 0 {
			d.caps[i.External[idPort]] = own
		}
		n, err := strconv.ParseUint(i.External[idMeta], 10, 32)
		if err != nil || n == 0 {
			continue // gets a new one from numberOf
		}
		d.numbers[i.External[idPort]] = uint32(n)
		d.ingress[d.standIn(uint32(n))] = i.External[idPort]
	}
}

// hardwareAddress is a bridge's own, always the same.
func hardwareAddress(bridge string) string {
	h := sha256.Sum256([]byte("mek bridge " + bridge))
	return fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4])
}
