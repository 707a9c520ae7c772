package acceptance

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// capabilities are the kernel's, by number.
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
	NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE
	SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON
	BPF CHECKPOINT_RESTORE`)

// rightsOf are the sets of capabilities of a process, as the kernel names them.
func rightsOf(t *testing.T, pid int) map[string]uint64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]uint64{}
	for _, m := range regexp.MustCompile(`(?m)^(Cap\w+):\s+([0-9a-f]+)$`).FindAllStringSubmatch(string(status), -1) {
		if sets[m[1]], err = strconv.ParseUint(m[2], 16, 64); err != nil {
			t.Fatal(err)
		}
	}
	return sets
}

func names(set uint64) (list []string) {
	for n := range 64 {
		if set>>n&1 == 0 {
			continue
		}
		if n < len(capabilities) {
			list = append(list, capabilities[n])
		} else {
			list = append(list, strconv.Itoa(n))
		}
	}
	slices.Sort(list)
	return list
}

// checkRights holds a running agent to the list of docs/security.md: it has
// what stands there and nothing else, and what it starts can get no more.
func checkRights(t *testing.T, c *cloud) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## What the agent keeps\n")
	section, _, found := strings.Cut(rest, "\n## ")
	if !found {
		t.Fatal("docs/security.md does not say what the agent keeps")
	}
	var keeps []string
	for _, row := range strings.Split(section, "\n") {
		if cells := strings.Split(row, "|"); len(cells) == 4 {
			for _, word := range strings.Split(cells[1], ",") {
				if word = strings.TrimSpace(word); slices.Contains(capabilities, word) {
					keeps = append(keeps, word)
				}
			}
		}
	}
	slices.Sort(keeps)
	own := names(rightsOf(t, os.Getpid())["CapBnd"]) // a test in a container cannot give more than it has
	want := slices.DeleteFunc(keeps, func(name string) bool { return !slices.Contains(own, name) })
	agent := rightsOf(t, c.processes()["agent"].PID)
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		if got := names(agent[set]); !slices.Equal(got, want) {
			t.Errorf("%s of the agent is %v, documented is %v", set, got, want)
		}
	}
	for _, set := range []string{"CapInh", "CapAmb"} {
		if got := names(agent[set]); len(got) > 0 {
			t.Errorf("%s of the agent is %v", set, got)
		}
	}
	server := rightsOf(t, c.processes()["server"].PID)
	for _, set := range []string{"CapPrm", "CapEff"} {
		if got := names(server[set]); len(got) > 0 {
			t.Errorf("%s of the server is %v", set, got)
		}
	}
}
