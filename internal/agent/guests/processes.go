package guests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/hostlink"
)

var _ hostlink.Examiner = (*Applier)(nil)

// Examine tells how the guests' processes are confined, as the kernel sees them.
func (a *Applier) Examine() (json.RawMessage, error) {
	here, err := a.driver.List(a.ctx)
	if err != nil {
		return nil, err
	}
	out := guest.Inventory{Processes: []guest.Process{}}
	if out.Network, err = os.Readlink("/proc/self/ns/net"); err != nil {
		return nil, fmt.Errorf("the host's network namespace: %w", err)
	}
	if can, err := a.driver.Capabilities(a.ctx); err == nil { // else nothing runs here
		out.Lost = can.Lost
	}
	for _, f := range here {
		if f.PID == 0 || f.Driver == simulated {
			continue
		}
		p, err := inspect("/proc", f.PID)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look at the process of guest %s: %w", f.ID, err)
		}
		p.ID = f.ID
		if p.Caps, err = capsOf("/proc", f.PID, f.ID); err != nil {
			return nil, fmt.Errorf("look at the control groups of guest %s: %w", f.ID, err)
		}
		p.Asked = a.asked(f.ID)
		out.Processes = append(out.Processes, p)
	}
	return json.Marshal(out)
}

// asked is what the document that was applied last says of a guest.
func (a *Applier) asked(guestID string) *guest.Asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.specs[guestID]
	if !ok {
		return nil
	}
	return &guest.Asked{MemoryMiB: s.MemoryMiB, Limits: s.Limits}
}

// simulated guests have numbers of processes, and no processes.
const simulated = "sim"

// inspect reads what the kernel says of a process.
func inspect(proc string, pid int) (guest.Process, error) {
	p := guest.Process{PID: pid}
	dir := filepath.Join(proc, strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		n, err := strconv.Atoi(words[0])
		switch {
		case key == "CapEff":
			p.Capabilities = words[0]
		case err != nil:
		case key == "Uid":
			p.UID = n
		case key == "Gid":
			p.GID = n
		case key == "Seccomp":
			p.Seccomp = n
		case key == "NoNewPrivs":
			p.NoNewPrivs = n == 1
		}
	}
	if p.Network, err = os.Readlink(filepath.Join(dir, "ns", "net")); err != nil {
		return p, err
	}
	if p.Core, err = coreLimit(dir); err != nil {
		return p, err
	}
	list, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return p, err
	}
	for _, fd := range list {
		name, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err == nil && strings.HasPrefix(name, "/") { // else it was closed meanwhile, or is no file
			p.Open = append(p.Open, name)
		}
	}
	return p, nil
}
