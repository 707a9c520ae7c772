package ovs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
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
	listen := d.cfg.MetadataListen()
	local := hardwareAddress(d.cfg.MetadataBridge())
	out, ways := flows{0: "add table=0,priority=0,actions=drop\n"}, map[string]int{}
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
			way = *patch.Ofport
			ways[p.MetadataID] = way
		}
		number, err := d.numberOf(p.ID)
		if err != nil {
			return nil, err
		}
		stand := d.standIn(number)
		for _, a := range p.Addresses {
			if !a.Is4() {
				continue
			}
			out[int(number)] = fmt.Sprintf("add cookie=%d,table=0,priority=100,in_port=%d,tcp,dl_src=%s,nw_src=%s,nw_dst=169.254.169.254,tp_dst=80,"+
				"actions=mod_nw_src:%s,mod_nw_dst:%s,mod_tp_dst:%d,mod_dl_dst:%s,output:LOCAL\n",
				number, way, p.MAC, a, stand, listen.Addr(), listen.Port(), local) +
				fmt.Sprintf("add cookie=%d,table=0,priority=100,in_port=LOCAL,tcp,nw_src=%s,nw_dst=%s,tp_src=%d,"+
					"actions=mod_nw_src:169.254.169.254,mod_tp_src:80,mod_nw_dst:%s,mod_dl_src:%s,mod_dl_dst:%s,output:%d\n",
					number, listen.Addr(), stand, listen.Port(), a, p.MetadataMAC, p.MAC, way)
			break // one address names the port; a second IPv4 address asks through the first
		}
	}
	return out, nil
}

// lead makes the metadata bridge's flows those: in one bundle, and what changed
// alone, where the others are there. The caller holds metadataMu.
func (d *Driver) lead(ctx context.Context, want flows) error {
	there := 0
	if d.led != nil {
		err := d.talk(ctx, d.cfg.MetadataBridge(), func(b *bridge) (err error) {
			there, err = b.countFlows(everyCookie)
			return err
		})
		if err != nil {
			return err
		}
	}
	text, whole := want.since(d.led, there, func(number int) string { return fmt.Sprintf("delete cookie=%d/-1\n", number) })
	if whole { // what nobody wrote goes
		text = "delete table=0\n" + text
	}
	d.led = nil
	if text != "" {
		if _, err := d.openFlow(ctx, d.cfg.MetadataBridge(), text, "--bundle", "add-flows", "-"); err != nil {
			return err
		}
	}
	d.led = want
	return nil
}

// openFlow gives a bridge a command, and answers what the bridge says.
func (d *Driver) openFlow(ctx context.Context, bridge, input, option, command string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := "unix:" + filepath.Join(d.cfg.Run, bridge+".mgmt")
	cmd := exec.CommandContext(ctx, "/usr/bin/ovs-ofctl", append([]string{option, "-O", "OpenFlow14", command, target}, words...)...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fault.Internalf("flows of bridge %s: %w: %s", bridge, err, out.String())
	}
	return out.String(), nil
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
