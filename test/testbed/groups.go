package testbed

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const groupsRoot = "/sys/fs/cgroup"

// ShowGroups shows what runs on a machine the computer's control groups, which
// "ip netns exec" hides from it: without them guests have no weights and no caps.
// Before Up.
func (m *Machine) ShowGroups() {
	m.bed.t.Helper()
	m.groups = filepath.Join("/run", m.ns+"-groups") // not in the bed's folder, with which all that is in it goes
	if err := os.Mkdir(m.groups, 0o755); err != nil {
		m.bed.t.Fatal(err)
	}
	if err := unix.Mount(groupsRoot, m.groups, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		m.bed.t.Fatalf("no control groups: %v", err)
	}
	// Else what is unmounted here would be unmounted there.
	if err := unix.Mount("", m.groups, "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		m.bed.t.Fatalf("control groups: %v", err)
	}
	script := strings.Replace(enterScript, "exec ", "mount --rbind "+m.groups+" "+groupsRoot+" && exec ", 1)
	if err := os.WriteFile(filepath.Join(m.dir, "enter"), []byte(script), 0o755); err != nil {
		m.bed.t.Fatal(err)
	}
}

// hideGroups takes away what ShowGroups made. What uses it still may do so.
func (m *Machine) hideGroups() error {
	if m.groups == "" {
		return nil
	}
	if err := unix.Unmount(m.groups, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(m.groups)
}
