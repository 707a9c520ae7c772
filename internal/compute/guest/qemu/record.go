package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// record is guest.json: what was asked for last, and what was done about it.
type record struct {
	Spec        *guest.Spec `json:"spec"`         // nil: only residue of a guest
	PowerSerial int64       `json:"power_serial"` // of the last power state that was reached
	BuildSerial int64       `json:"build_serial"` // under which the guest's own disks were made
	Exit        *guest.Exit `json:"exit,omitempty"`
	Ending      bool        `json:"ending,omitempty"`  // the process is being ended on purpose
	Process     *started    `json:"process,omitempty"` // the one that runs, or did when this was written
	Saved       *started    `json:"saved,omitempty"`   // the one whose memory is in the file "memory"
	Slots       slots       `json:"slots,omitempty"`
	Rescue      bool        `json:"rescue,omitempty"` // Spec.Rescue when slots were given
}

// started is a process and the machine that it was started as.
type started struct {
	PID      int        `json:"pid"`
	Ticks    uint64     `json:"ticks"`
	Boot     string     `json:"boot"`
	At       time.Time  `json:"at"`
	UID      int        `json:"uid"`
	Accel    string     `json:"accel"`
	Machine  string     `json:"machine"`
	CPUModel string     `json:"cpu_model"`
	Ports    int        `json:"ports"` // pcie-root-ports
	Spec     guest.Spec `json:"spec"`  // what it was built from; its metadata are left out
}

// own names of files in a guest's folder.
const (
	recordFile  = "guest.json"
	consoleFile = "console.log"
	processLog  = "qemu.log"
	memoryFile  = "memory"
	driveFile   = "config.iso"
	disksDir    = "disks"
	snapsDir    = "snapshots"
)

// loadRecord reads a guest's record; an empty one when there is none. A record
// that cannot be read is an error: to guess would cost somebody a disk.
func loadRecord(dir string) (record, error) {
	var r record
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read a guest's record: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("decode a guest's record: %w", err)
	}
	return r, nil
}

// save replaces the record. It is durable only with sync: a process does not
// outlive its host, and what the server wants is kept by the agent's core.
func (r record) save(dir string, sync bool) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a guest's record: %w", err)
	}
	return writeFile(filepath.Join(dir, recordFile), b, sync)
}

// writeFile writes a file under another name and renames it.
func writeFile(path string, b []byte, sync bool) error {
	f, err := os.OpenFile(path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	_, err = f.Write(b)
	if err == nil && sync {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err == nil && sync {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
