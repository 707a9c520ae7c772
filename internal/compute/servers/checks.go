package servers

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute/guest"
)

const stopIt = "openstack server stop, and look at how its host starts guests"

var (
	sharedUser  = check.Code{ID: "I-31/user", Means: "a guest's process runs as root, or as another guest's user", Remedy: stopIt}
	unfiltered  = check.Code{ID: "I-31/seccomp", Means: "a guest's process may make any system call, or gain rights", Remedy: stopIt}
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
		users := map[int]string{}
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
			for _, name := range p.Open {
				if other := ownerOf(name, ids); other != "" && other != p.ID {
					l.Report(foreignFile, at, "process %d on %s has %s open, which is of server %s", p.PID, h.Name, name, other)
				}
			}
		}
	}
	return nil
}

const seccompFilter = 2

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
