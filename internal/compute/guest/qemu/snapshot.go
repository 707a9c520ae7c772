package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qcow2"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
	"github.com/mekcloud/mek/internal/fault"
)

func (m *machine) snapshotPath(name string) string { return filepath.Join(m.dir, snapsDir, name) }

// Snapshot freezes a disk's content under a name.
func (d *Driver) Snapshot(ctx context.Context, guestID, diskID, name string) (guest.SnapshotInfo, error) {
	m, err := d.find(guestID)
	if err != nil {
		return guest.SnapshotInfo{}, err
	}
	if !guest.Word(name) {
		return guest.SnapshotInfo{}, fault.Invalidf("%q cannot name a snapshot", name)
	}
	var info guest.SnapshotInfo
	err = m.do(ctx, func(ctx context.Context) error {
		if info, err = m.snapshotInfo(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := m.settle(ctx); err != nil {
			return err
		}
		if err := m.snapshot(ctx, diskID, name); err != nil {
			return err
		}
		info, err = m.snapshotInfo(name)
		return err
	})
	return info, err
}

func (m *machine) snapshotInfo(name string) (guest.SnapshotInfo, error) {
	f, err := os.Open(m.snapshotPath(name))
	if err != nil {
		return guest.SnapshotInfo{}, err
	}
	defer closeAll(f)
	info, err := f.Stat()
	if err != nil {
		return guest.SnapshotInfo{}, err
	}
	size, err := qcow2.Size(f, "qcow2")
	return guest.SnapshotInfo{Name: name, Format: "qcow2", SizeBytes: info.Size(), VirtualBytes: size}, err
}

// snapshot copies a disk into a file of its own: in the guest's process if
// there is one (the guest goes on meanwhile and the copy is of one instant),
// else in one that has no machine.
func (m *machine) snapshot(ctx context.Context, diskID, name string) (err error) {
	if m.rec.Spec == nil {
		return fault.Conflictf("the server has no disks")
	}
	var want *guest.Disk
	for i := range m.rec.Spec.Disks {
		if m.rec.Spec.Disks[i].ID == diskID {
			want = &m.rec.Spec.Disks[i]
		}
	}
	if want == nil {
		return fault.NotFoundf("the server has no disk %s", diskID)
	}
	slot := m.rec.Slots[diskKey(*want)]
	client, err := m.monitor()
	if m.proc == nil || !m.plugged["d"+slot] {
		worker, err := m.d.startWorker(ctx, m.id, *want, m)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, worker.end()) }()
		client, slot = worker.client, workerSlot
	} else if err != nil {
		return err
	}
	return m.copyDisk(ctx, client, slot, name)
}

// copyDisk writes the content of a slot's disk into a snapshot file.
func (m *machine) copyDisk(ctx context.Context, client *qmp.Client, slot, name string) (err error) {
	size, err := virtualSize(ctx, client, slot+"l0")
	if err != nil {
		return err
	}
	path := m.snapshotPath(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make room for a snapshot: %w", err)
	}
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make a snapshot: %w", err)
	}
	defer func() {
		closeAll(f)
		if err != nil {
			_ = os.Remove(path + ".part") // of no use; the next attempt would overwrite it
		}
	}()
	if err := qcow2.Empty(f, size, qcow2.Backing{}); err != nil {
		return err
	}
	to := disk{slot: "x", layers: []layer{{file: f, format: "qcow2"}}}
	if err := backup(ctx, client, slot+"l0", to); err != nil {
		return refused(err, "the disk cannot be copied")
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("make a snapshot durable: %w", err)
	}
	return errors.Join(os.Rename(path+".part", path), syncDir(filepath.Dir(path)))
}

func virtualSize(ctx context.Context, client *qmp.Client, node string) (int64, error) {
	var nodes []struct {
		Name  string `json:"node-name"`
		Image struct {
			Size int64 `json:"virtual-size"`
		} `json:"image"`
	}
	if err := client.Execute(ctx, "query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
		return 0, err
	}
	for _, n := range nodes {
		if n.Name == node {
			return n.Image.Size, nil
		}
	}
	return 0, fault.Conflictf("the server does not have the disk now")
}

// backup runs a backup job onto a target and takes the target out again.
func backup(ctx context.Context, client *qmp.Client, node string, to disk) (err error) {
	var added struct {
		Set int `json:"fdset-id"`
	}
	if err := client.ExecuteFile(ctx, "add-fd", map[string]any{"opaque": to.slot}, &added, to.layers[0].file); err != nil {
		return err
	}
	events := client.Subscribe("JOB_STATUS_CHANGE")
	defer events.Close()
	nodes := to.nodes([]int{added.Set}, guest.Limits{})
	defer func() { err = errors.Join(err, takeOut(client, nodes, added.Set)) }()
	for _, n := range nodes {
		if err := client.Execute(ctx, "blockdev-add", n, nil); err != nil {
			return err
		}
	}
	job := map[string]any{"job-id": "snapshot", "device": node, "target": to.slot + "l0", "sync": "full", "auto-dismiss": false}
	if err := client.Execute(ctx, "blockdev-backup", job, nil); err != nil {
		return err
	}
	return awaitJob(ctx, client, events, "snapshot")
}

// takeOut undoes what backup added; it must work when ctx has ended.
func takeOut(client *qmp.Client, nodes []map[string]any, set int) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	for i := len(nodes) - 1; i >= 0; i-- {
		err := client.Execute(ctx, "blockdev-del", map[string]any{"node-name": nodes[i]["node-name"]}, nil)
		if err != nil && !isRefusal(err) {
			return err
		}
	}
	err := client.Execute(ctx, "remove-fd", map[string]any{"fdset-id": set}, nil)
	if err != nil && !isRefusal(err) {
		return err
	}
	return nil
}

// awaitJob waits for a block job to conclude and dismisses it.
func awaitJob(ctx context.Context, client *qmp.Client, events *qmp.Subscription, job string) error {
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return errors.Join(err, cancelJob(client, job))
		}
		var change struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}
		if json.Unmarshal(e.Data, &change) != nil || change.ID != job || change.Status != "concluded" {
			continue
		}
		return concludeJob(ctx, client, job)
	}
}

func concludeJob(ctx context.Context, client *qmp.Client, job string) error {
	var jobs []struct {
		ID    string `json:"id"`
		Error string `json:"error"`
	}
	if err := client.Execute(ctx, "query-jobs", nil, &jobs); err != nil {
		return err
	}
	if err := client.Execute(ctx, "job-dismiss", map[string]any{"id": job}, nil); err != nil {
		return err
	}
	for _, j := range jobs {
		if j.ID == job && j.Error != "" {
			return fault.Unavailablef("the disk could not be copied").Because(errors.New(j.Error))
		}
	}
	return nil
}

// cancelJob stops a job and waits for it to let go of its nodes.
func cancelJob(client *qmp.Client, job string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	events := client.Subscribe("JOB_STATUS_CHANGE")
	defer events.Close()
	if err := client.Execute(ctx, "job-cancel", map[string]any{"id": job}, nil); err != nil {
		return nil // it has ended, or the process has
	}
	for {
		e, err := events.Next(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(string(e.Data), `"concluded"`) {
			return client.Execute(ctx, "job-dismiss", map[string]any{"id": job}, nil)
		}
	}
}

// OpenSnapshot reads the bytes of a snapshot.
func (d *Driver) OpenSnapshot(_ context.Context, guestID, name string) (io.ReadCloser, error) {
	m, err := d.find(guestID)
	if err != nil {
		return nil, err
	}
	if !guest.Word(name) {
		return nil, fault.Invalidf("%q cannot name a snapshot", name)
	}
	f, err := os.Open(m.snapshotPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFoundf("the server has no snapshot %s", name)
	}
	return f, err
}

// DiscardSnapshot removes a snapshot.
func (d *Driver) DiscardSnapshot(_ context.Context, guestID, name string) error {
	m := d.machine(guestID)
	if m == nil {
		return nil
	}
	if !guest.Word(name) {
		return fault.Invalidf("%q cannot name a snapshot", name)
	}
	if err := os.Remove(m.snapshotPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a snapshot: %w", err)
	}
	return nil
}
