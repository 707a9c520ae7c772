package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/qmp"
)

// worker is a QEMU without a machine that has one disk of a guest that is
// off: the same code, and the same confinement, read images there as do for a
// running guest.
type worker struct {
	d      *Driver
	name   string // of its cgroup, and owner of its user id
	dir    string // its socket
	client *qmp.Client
	proc   *process
}

const workerSlot = "s0"

// startWorker starts one. The caller ends it.
func (d *Driver) startWorker(ctx context.Context, guestID string, want guest.Disk, m *machine) (w *worker, err error) {
	w = &worker{d: d, name: guestID + "-worker", dir: m.run + "-worker"}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	opened, err := m.openDisk(ctx, want, workerSlot)
	if err != nil {
		return w, err
	}
	defer opened.close()
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return w, fmt.Errorf("make a folder for sockets: %w", err)
	}
	socket, err := listen(filepath.Join(w.dir, qmpSocket))
	if err != nil {
		return w, err
	}
	defer closeAll(socket)
	if err := w.spawn(opened, socket); err != nil {
		return w, err
	}
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	w.client, err = qmp.Dial(ctx, filepath.Join(w.dir, qmpSocket))
	return w, err
}

func (w *worker) spawn(opened disk, socket *os.File) error {
	uid, err := w.d.ids.take(w.owner())
	if err != nil {
		return err
	}
	if err := w.d.groups.create(w.name, limits{shares: 1024, periodUS: 100_000, memoryBytes: 1 << 30, pids: 256}); err != nil {
		return err
	}
	b := &bundle{}
	args := []string{"-no-user-config", "-nodefaults", "-machine", "none", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", b.add(socket)), "-mon", "chardev=qmp,mode=control"}
	sets := make([]int, len(opened.layers))
	for i, l := range opened.layers {
		sets[i] = b.add(l.file)
		args = append(args, "-add-fd", fmt.Sprintf("fd=%d,set=%d", sets[i], sets[i]))
	}
	for _, n := range opened.nodes(sets, guest.Limits{}) {
		args = append(args, "-blockdev", text(n))
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer closeAll(null)
	w.proc, err = w.d.groups.spawn(launch{binary: w.d.cfg.Binary, args: args, files: b.files, log: null, group: w.name, uid: uid, owner: w.owner()})
	if err != nil {
		return err
	}
	w.d.work.Go(w.proc.await)
	return nil
}

// owner is the worker's name among all clouds on this machine.
func (w *worker) owner() string { return w.d.cfg.Cloud + "/" + w.name }

// end ends the worker and removes all of it.
func (w *worker) end() error {
	if w.client != nil {
		_ = w.client.Close() // it is killed anyway
	}
	err := w.d.groups.empty(w.d.ctx, w.d.cfg.Clock, w.name)
	if w.proc != nil {
		err = errors.Join(err, w.proc.kill())
		<-w.proc.gone
		w.proc.letGo()
	}
	return errors.Join(err, w.d.ids.release(w.owner()), os.RemoveAll(w.dir))
}
