package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute/guest"
)

const stopIt = "openstack server stop, and look at how its host starts guests"

var (
	sharedUser  = check.Code{ID: "I-31/user", Means: "a guest's process runs as root, or as another guest's user", Remedy: stopIt}
	unfiltered  = check.Code{ID: "I-31/seccomp", Means: "a guest's process may make any system call, or gain rights", Remedy: stopIt}
	openNetwork = check.Code{ID: "I-31/network", Means: "a guest's process is in the network of its host or of another guest", Remedy: stopIt}
	uncapped    = check.Code{ID: "I-31/limits", Means: "a guest's process may take more of its host than its flavor says", Remedy: stopIt}
	coreDumps   = check.Code{ID: "I-31/core", Means: "a guest's memory may come to lie in a core dump", Remedy: stopIt}
	foreignFile = check.Code{ID: "I-31/descriptor", Means: "a guest's process has a file open that is not its own", Remedy: stopIt}
)

// checkProcesses looks at how guests are held, by what hosts say of processes.
func checkProcesses(_ context.Context, l *check.Look) error {
	for _, h := range l.Hosts {
		more := h.Sections[check.Guests].More
		if len(more) == 0 {
			continue
		}
		var inv guest.Inventory
		if err := json.Unmarshal(more, &inv); err != nil {
			return err
		}
		users, networks := map[int]string{}, map[string]string{inv.Network: "the host"}
		ids := map[string]bool{}
		for _, p := range inv.Processes {
			ids[p.ID] = true
		}
		for _, p := range inv.Processes {
			at := check.Of("server", p.ID)
			if other, taken := users[p.UID]; taken || p.UID == 0 {
				l.Report(sharedUser, at, "process %d on %s runs as user %d, as does %q", p.PID, h.Name, p.UID, other)
			}
			users[p.UID] = p.ID
			if p.Seccomp != seccompFilter || !p.NoNewPrivs || strings.Trim(p.Capabilities, "0") != "" {
				l.Report(unfiltered, at, "process %d on %s: seccomp %d, no new rights %v, capabilities %s", p.PID, h.Name, p.Seccomp, p.NoNewPrivs, p.Capabilities)
			}
			if other, taken := networks[p.Network]; taken || p.Network == "" {
				l.Report(openNetwork, at, "process %d on %s is in network %q, as is %s", p.PID, h.Name, p.Network, other)
			}
			networks[p.Network] = "server " + p.ID
			if p.Core < 0 || p.Core > aByte {
				l.Report(coreDumps, at, "process %d on %s may leave a core dump of %d bytes", p.PID, h.Name, p.Core)
			}
			if why := missingCaps(p, inv.Lost); why != "" {
				l.Report(uncapped, at, "process %d on %s: %s", p.PID, h.Name, why)
			}
			for _, name := range p.Open {
				if other := ownerOf(name, ids); other != "" && other != p.ID {
					l.Report(foreignFile, at, "process %d on %s has %s open, which is of server %s", p.PID, h.Name, name, other)
				}
			}
		}
	}
	return nil
}

const (
	seccompFilter = 2
	aByte         = 1 // of a core dump: less than any kernel begins one for, be it for a file or a program
	// mostOverhead is what a guest's process may need beyond its memory and again
	// as much: translated code, video memory, buffers.
	mostOverhead = 4 << 10 // MiB
)

// missingCaps compares what holds a process with what it shall be held to.
func missingCaps(p guest.Process, lost []string) string {
	c := p.Caps
	has := func(controller string) bool { return !slices.Contains(lost, controller) }
	switch {
	case !c.Own && len(lost) == 0:
		return "it is not in a control group of its own"
	case c.MemoryBytes == 0 && has("memory"):
		return "no cap on memory"
	case c.Processes == 0 && has("pids"):
		return "no cap on processes"
	case (c.CPUQuotaUS == 0 || c.CPUPeriodUS == 0) && has("cpu"):
		return "no cap on processor time"
	case p.Asked == nil:
		return ""
	}
	if most := int64(2*p.Asked.MemoryMiB+mostOverhead) << 20; c.MemoryBytes > most && has("memory") {
		return fmt.Sprintf("a cap on memory of %d bytes for a guest of %d MiB", c.MemoryBytes, p.Asked.MemoryMiB)
	}
	want := p.Asked.Limits
	if want.CPUQuotaUS > 0 && has("cpu") && c.CPUQuotaUS*int64(max(want.CPUPeriodUS, defaultPeriodUS)) > int64(want.CPUQuotaUS)*c.CPUPeriodUS {
		return fmt.Sprintf("%d of %d µs of processor time, asked for %d of %d", c.CPUQuotaUS, c.CPUPeriodUS, want.CPUQuotaUS, max(want.CPUPeriodUS, defaultPeriodUS))
	}
	if want.CapsDisks() && !c.Disks {
		return "no cap on disks"
	}
	return ""
}

const defaultPeriodUS = 100_000

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// ownerOf is the guest that a file's name names; empty: none of these.
func ownerOf(name string, ids map[string]bool) string {
	for _, id := range uuids.FindAllString(name, -1) {
		if ids[id] {
			return id
		}
	}
	return ""
}
