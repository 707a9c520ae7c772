package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/fault"
)

// A guest lets go of a device when its kernel has heard of it. One that still
// boots has not, so it is asked again.
const (
	unplugAgain = 5 * time.Second
	unplugLimit = 40 * time.Second
)

// adapt plugs and unplugs devices of the running process, grows disks and sets
// limits, as spec says.
func (m *machine) adapt(ctx context.Context, spec guest.Spec) error {
	if err := m.look(ctx); err != nil {
		return err
	}
	for _, key := range m.rec.Slots.unused(spec) {
		if err := m.unplug(ctx, key); err != nil {
			return err
		}
	}
	places, err := m.rec.Slots.assign(spec)
	if err != nil {
		return err
	}
	if len(places) != len(m.rec.Slots) {
		if err := m.note(false, func(r *record) { r.Slots = places }); err != nil {
			return err
		}
	}
	for _, d := range spec.Disks {
		slot := places[diskKey(d)]
		if !m.plugged["d"+slot] && hotPluggable(slot) {
			if err := m.plugDisk(ctx, d, slot); err != nil {
				return err
			}
		}
		if m.plugged["d"+slot] && d.SizeBytes > 0 {
			if err := m.grow(ctx, d, slot); err != nil {
				return err
			}
		}
	}
	for _, n := range spec.NICs {
		if slot := places[nicKey(n)]; !m.plugged["d"+slot] {
			if err := m.plugNIC(ctx, n, slot); err != nil {
				return err
			}
		}
	}
	return m.adjust(spec)
}

// look asks the process which devices it has.
func (m *machine) look(ctx context.Context) error {
	var children []struct {
		Name string `json:"name"`
	}
	if err := m.command(ctx, "qom-list", map[string]any{"path": "/machine/peripheral"}, &children); err != nil {
		return err
	}
	plugged := map[string]bool{}
	for _, c := range children {
		plugged[c.Name] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plugged = plugged
	return nil
}

func (m *machine) setPlugged(device string, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plugged != nil {
		m.plugged[device] = is
	}
}

// adjust sets the limits of the cgroup when the Spec has others than the
// process was started with.
func (m *machine) adjust(spec guest.Spec) error {
	build := *m.rec.Process
	// Caps of disks stay as they were at the start: they need other nodes.
	l := &build.Spec.Limits
	l.CPUShares, l.CPUQuotaUS, l.CPUPeriodUS = spec.Limits.CPUShares, spec.Limits.CPUQuotaUS, spec.Limits.CPUPeriodUS
	if m.rec.Process.Spec.Limits == *l {
		return nil
	}
	if err := m.d.groups.limit(m.id, m.limits(build)); err != nil {
		return err
	}
	return m.note(false, func(r *record) { r.Process = &build })
}

// plugDisk adds a disk to the running guest.
func (m *machine) plugDisk(ctx context.Context, want guest.Disk, slot string) error {
	if err := m.room(slot); err != nil {
		return err
	}
	d, err := m.openDisk(ctx, want, slot)
	if err != nil {
		return err
	}
	defer d.close()
	if err := m.dropNodes(ctx, slot); err != nil { // of an attempt that was interrupted
		return err
	}
	if err := m.addNodes(ctx, d); err != nil {
		return errors.Join(err, m.dropNodes(m.d.ctx, slot))
	}
	if err := m.command(ctx, "device_add", d.device(m.started()), nil); err != nil {
		return errors.Join(refused(err, "the server did not take the disk"), m.dropNodes(m.d.ctx, slot))
	}
	m.setPlugged("d"+slot, true)
	return m.flush()
}

// started are the limits that the process was started with.
func (m *machine) started() guest.Limits { return m.rec.Process.Spec.Limits }

// room tells whether the running machine has the port that a slot needs.
func (m *machine) room(slot string) error {
	var n int
	if _, err := fmt.Sscanf(slot, "s%d", &n); err == nil && n >= m.rec.Process.Ports {
		return fault.Conflictf("the server has no place for another device until it is restarted")
	}
	return nil
}

// addNodes hands a disk's files to the process and builds its block nodes.
func (m *machine) addNodes(ctx context.Context, d disk) error {
	client, err := m.monitor()
	if err != nil {
		return err
	}
	sets := make([]int, len(d.layers))
	for i, l := range d.layers {
		var added struct {
			Set int `json:"fdset-id"`
		}
		if err := client.ExecuteFile(ctx, "add-fd", map[string]any{"opaque": d.slot}, &added, l.file); err != nil {
			return err
		}
		sets[i] = added.Set
	}
	if m.started().CapsDisks() {
		if err := m.command(ctx, "object-add", d.throttle(m.started()), nil); err != nil {
			return err
		}
	}
	for _, n := range d.nodes(sets, m.started()) {
		if err := m.command(ctx, "blockdev-add", n, nil); err != nil {
			return err
		}
	}
	return nil
}

// dropNodes removes block nodes, throttle group and descriptors of a slot
// whose device is gone. What is not there is fine.
func (m *machine) dropNodes(ctx context.Context, slot string) error {
	var nodes []struct {
		Name string `json:"node-name"`
	}
	if err := m.command(ctx, "query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
		return err
	}
	for _, name := range nodesOf(slot, nodes) {
		if err := m.command(ctx, "blockdev-del", map[string]any{"node-name": name}, nil); err != nil {
			return err
		}
	}
	if err := m.command(ctx, "object-del", map[string]any{"id": slot + "g"}, nil); err != nil && !isRefusal(err) {
		return err
	}
	var sets []struct {
		Set   int `json:"fdset-id"`
		Files []struct {
			Opaque string `json:"opaque"`
		} `json:"fds"`
	}
	if err := m.command(ctx, "query-fdsets", nil, &sets); err != nil {
		return err
	}
	for _, s := range sets {
		if len(s.Files) == 0 || s.Files[0].Opaque != slot {
			continue
		}
		if err := m.command(ctx, "remove-fd", map[string]any{"fdset-id": s.Set}, nil); err != nil && !isRefusal(err) {
			return err
		}
	}
	return nil
}

// nodesOf picks the nodes of a slot, users before what they use.
func nodesOf(slot string, nodes []struct {
	Name string `json:"node-name"`
}) []string {
	var names []string
	for _, n := range nodes {
		rest, ok := strings.CutPrefix(n.Name, slot)
		if ok && rest != "" && strings.ContainsAny(rest[:1], "tlf") {
			names = append(names, n.Name)
		}
	}
	order := func(name string) string { // t first; then l0 f0 l1 f1 ...
		rest := strings.TrimPrefix(name, slot)
		if rest == "t" {
			return ""
		}
		return rest[1:] + string('z'-rest[0])
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(order(a), order(b)) })
	return names
}

// plugNIC adds a card to the running guest.
func (m *machine) plugNIC(ctx context.Context, want guest.NIC, slot string) error {
	if err := m.room(slot); err != nil {
		return err
	}
	client, err := m.monitor()
	if err != nil {
		return err
	}
	tap, err := m.tap(ctx, want.PortID, m.started())
	if err != nil {
		return err
	}
	defer closeAll(tap)
	n := nic{NIC: want, slot: slot, tap: tap}
	// Of an attempt that was interrupted; it is most likely not there.
	if err := m.command(ctx, "netdev_del", map[string]any{"id": "n" + slot}, nil); err != nil && !isRefusal(err) {
		return err
	}
	if err := client.ExecuteFile(ctx, "getfd", map[string]any{"fdname": "n" + slot}, nil, tap); err != nil {
		return err
	}
	if err := m.command(ctx, "netdev_add", map[string]any{"type": "tap", "id": "n" + slot, "fd": "n" + slot}, nil); err != nil {
		return refused(err, "the server did not take the port")
	}
	if err := m.command(ctx, "device_add", n.device(), nil); err != nil {
		undone := m.command(m.d.ctx, "netdev_del", map[string]any{"id": "n" + slot}, nil)
		return errors.Join(refused(err, "the server did not take the port"), undone)
	}
	m.setPlugged("d"+slot, true)
	return nil
}

// unplug removes a device from the running guest and frees its slot.
func (m *machine) unplug(ctx context.Context, key string) error {
	slot := m.rec.Slots[key]
	if !hotPluggable(slot) && m.plugged["d"+slot] {
		return nil // goes when the guest is started next
	}
	if m.plugged["d"+slot] {
		if err := m.removeDevice(ctx, "d"+slot); err != nil {
			return err
		}
	}
	if strings.HasPrefix(key, "nic/") {
		if err := m.command(ctx, "netdev_del", map[string]any{"id": "n" + slot}, nil); err != nil && !isRefusal(err) {
			return err
		}
	} else if err := m.dropNodes(ctx, slot); err != nil {
		return err
	}
	return m.note(false, func(r *record) { r.Slots = r.Slots.without([]string{key}) })
}

// removeDevice asks the guest to let go until it does.
func (m *machine) removeDevice(ctx context.Context, device string) error {
	client, err := m.monitor()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, unplugLimit, errTooLong)
	defer cancel()
	events := client.Subscribe("DEVICE_DELETED")
	defer events.Close()
	for {
		err := m.command(ctx, "device_del", map[string]any{"id": device}, nil)
		if err != nil && !isRefusal(err) { // refused: it is on its way out already, or gone
			return err
		}
		if m.awaitDeleted(ctx, events, device) {
			m.setPlugged(device, false)
			return nil
		}
		if err := m.look(ctx); err == nil && !m.plugged[device] {
			return nil
		}
		if ctx.Err() != nil {
			return fault.Unavailablef("the server did not let go of the device").Because(context.Cause(ctx))
		}
	}
}

// awaitDeleted waits a while for the event that names the device.
func (m *machine) awaitDeleted(ctx context.Context, events *qmp.Subscription, device string) bool {
	ctx, cancel := context.WithTimeout(ctx, unplugAgain)
	defer cancel()
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return false
		}
		var gone struct {
			Device string `json:"device"`
		}
		if json.Unmarshal(e.Data, &gone) == nil && gone.Device == device {
			return true
		}
	}
}

// grow makes a disk as large as asked for; it never shrinks one.
func (m *machine) grow(ctx context.Context, d guest.Disk, slot string) error {
	if d.Kind == guest.DiskCD {
		return nil
	}
	var nodes []struct {
		Name  string `json:"node-name"`
		Image struct {
			Size int64 `json:"virtual-size"`
		} `json:"image"`
	}
	if err := m.command(ctx, "query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Name == slot+"l0" && n.Image.Size < d.SizeBytes {
			args := map[string]any{"node-name": n.Name, "size": d.SizeBytes}
			return refused(m.command(ctx, "block_resize", args, nil), "the disk could not be grown")
		}
	}
	return nil
}

// isRefusal tells QEMU's own no from a connection that failed.
func isRefusal(err error) bool {
	var no *qmp.Error
	return errors.As(err, &no)
}

// refused gives QEMU's no a text for users.
func refused(err error, text string) error {
	if !isRefusal(err) {
		return err
	}
	return fault.Conflictf("%s", text).Because(err)
}

// stage is how far a migration is, by its event.
func stage(e qmp.Event) string {
	var s struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(e.Data, &s) != nil {
		return ""
	}
	return s.Status
}
