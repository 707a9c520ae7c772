package guests

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// coreLimit reads how large a core dump a process may leave; -1: any.
func coreLimit(dir string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(dir, "limits"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			words := strings.Fields(rest)
			if len(words) > 1 && words[1] != "unlimited" { // the hard one: the soft one a process raises itself
				return strconv.ParseInt(words[1], 10, 64)
			}
		}
	}
	return -1, nil
}

// capsOf reads the caps of a process's control groups, of both versions. What
// cannot be found is not capped.
func capsOf(proc string, pid int, guestID string) (guest.Caps, error) {
	folders, err := groupFolders(proc, pid)
	if err != nil {
		return guest.Caps{}, err
	}
	c := guest.Caps{Own: len(folders) > 0}
	for _, dir := range folders {
		c.Own = c.Own && filepath.Base(dir) == guestID
	}
	number := func(controller string, names ...string) int64 {
		for _, name := range names {
			text, err := os.ReadFile(filepath.Join(folders[controller], name))
			if err != nil {
				continue
			}
			first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
			if n, err := strconv.ParseInt(first, 10, 64); err == nil {
				return n
			}
		}
		return 0
	}
	if c.MemoryBytes = number("memory", "memory.max", "memory.limit_in_bytes"); c.MemoryBytes >= noLimit {
		c.MemoryBytes = 0
	}
	c.Processes = number("pids", "pids.max")
	c.CPUQuotaUS, c.CPUPeriodUS = max(0, number("cpu", "cpu.max", "cpu.cfs_quota_us")), number("cpu", "cpu.cfs_period_us")
	if text, err := os.ReadFile(filepath.Join(folders["cpu"], "cpu.max")); err == nil {
		if words := strings.Fields(string(text)); len(words) == 2 {
			c.CPUPeriodUS, _ = strconv.ParseInt(words[1], 10, 64) // the kernel's own figure
		}
	}
	command, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	c.Disks = bytes.Contains(command, []byte(`"throttle-group"`))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it ended meanwhile, and has no caps to miss
	}
	return c, err
}

// noLimit is from where on version 1 means no limit of memory.
const noLimit = 1 << 60

// controllers are those whose caps hold guests.
var controllers = []string{"cpu", "memory", "pids"}

// groupFolders finds the folder of a process's group for each controller.
func groupFolders(proc string, pid int) (map[string]string, error) {
	mounts, err := os.ReadFile(filepath.Join(proc, "self", "mountinfo"))
	if err != nil {
		return nil, err
	}
	groups, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cgroup"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	paths := map[string]string{} // by controller; "" is version 2
	for line := range strings.Lines(string(groups)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			for _, c := range strings.Split(f[1], ",") {
				paths[c] = f[2]
			}
		}
	}
	out := map[string]string{}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 5 || len(f) < dash+4 || !strings.HasPrefix(f[dash+1], "cgroup") {
			continue
		}
		for _, c := range controllers {
			key, options := c, strings.Split(f[dash+3], ",")
			if f[dash+1] == "cgroup2" {
				key = ""
			} else if !slices.Contains(options, c) {
				continue
			}
			if path, ok := paths[key]; ok && out[c] == "" && (key != "" || paths[c] == "") {
				out[c] = filepath.Join(f[4], strings.TrimPrefix(path, strings.TrimSuffix(f[3], "/")))
			}
		}
	}
	return out, nil
}
