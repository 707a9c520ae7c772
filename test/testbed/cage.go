package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cageWeight is that of a hundred processes: what else this computer does hardly
// shows on a machine in a cage.
const cageWeight = 100

// Cage gives a machine control groups, which "ip netns exec" hides, and has all
// that runs on it share one group of the processors that weighs as much as a
// hundred processes: what is measured is then the machine's own doing. Before Up.
func (m *Machine) Cage() {
	m.bed.t.Helper()
	lines, cage, err := cageLines(filepath.Base(m.bed.dir) + "-" + m.Name)
	if err != nil {
		m.bed.t.Fatalf("control groups: %v", err)
	}
	m.cage = cage
	script := strings.Replace(enterScript, "exec ", strings.Join(lines, " && ")+" && exec ", 1)
	if err := os.WriteFile(filepath.Join(m.dir, "enter"), []byte(script), 0o755); err != nil {
		m.bed.t.Fatal(err)
	}
}

// cageLines makes the group, and gives the commands that lead a process into it
// and show it the groups below as all there are.
func cageLines(name string) (lines []string, cage string, err error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, "", err
	}
	const root = "/sys/fs/cgroup"
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 5 || len(f) < dash+4 || !strings.HasPrefix(f[dash+1], "cgroup") {
			continue
		}
		kind, point, options := f[dash+1], f[4], slices.DeleteFunc(strings.Split(f[dash+3], ","), func(o string) bool {
			return o == "rw" || strings.HasPrefix(o, "name=") || o == "nsdelegate" || o == "memory_recursiveprot"
		})
		if kind == "cgroup" && len(options) == 0 {
			continue // systemd's list of processes
		}
		if kind == "cgroup" {
			lines = append(lines, fmt.Sprintf("mkdir -p %[1]s && mount -t cgroup -o %[2]s none %[1]s", point, strings.Join(options, ",")))
		} else {
			lines = append(lines, fmt.Sprintf("mkdir -p %[1]s && mount -t cgroup2 none %[1]s", point))
		}
		group := filepath.Join(point, name)
		switch {
		case kind == "cgroup" && slices.Contains(options, "cpu"):
			err = errors.Join(os.Mkdir(group, 0o755), os.WriteFile(filepath.Join(group, "cpu.shares"), []byte(fmt.Sprint(1024*cageWeight)), 0))
			lines = append(lines, fmt.Sprintf("echo 0 >%[1]s/cgroup.procs && mount --bind %[1]s %[2]s", group, point))
		case kind == "cgroup2" && point == root: // no others: processes are in leaves
			inner := filepath.Join(group, "system")
			err = errors.Join(os.MkdirAll(inner, 0o755), os.WriteFile(filepath.Join(point, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0),
				os.WriteFile(filepath.Join(group, "cpu.weight"), []byte(fmt.Sprint(100*cageWeight)), 0))
			lines = append(lines, fmt.Sprintf("echo 0 >%s/cgroup.procs && mount --bind %s %s", inner, group, point))
		default:
			continue
		}
		if err != nil {
			return nil, "", err
		}
		cage = group
	}
	if cage == "" {
		return nil, "", errors.New("none for processors")
	}
	return append([]string{"mount -t tmpfs none " + root}, lines...), cage, nil
}

// removeGroups removes a group with those below.
func removeGroups(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for _, dir := range slices.Backward(dirs) {
		err = errors.Join(err, os.Remove(dir))
	}
	return err
}
