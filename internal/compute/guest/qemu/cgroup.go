package qemu

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// controllers are those that hold a guest. The io caps are QEMU's own work.
var controllers = [...]string{"cpu", "memory", "pids"}

// groups is where this cloud's cgroups are: on version 2 all in one tree; on
// version 1 a tree per controller, beside the version 2 tree without
// controllers, which still knows its processes and kills them.
type groups struct {
	name    string            // of the cloud, below "mek"
	unified string            // mount point of the version 2 tree; empty: none
	v1      map[string]string // mount points by controller; empty on version 2
	lost    []string          // controllers that cannot be had
}

// limits are what a group may take. Zero means no limit, except for shares.
type limits struct {
	shares      int // 1024 is the weight of an ordinary process
	quotaUS     int
	periodUS    int
	memoryBytes int64
	pids        int
}

// findGroups looks at what is mounted and makes the cloud's own level of it.
func findGroups(name string) (*groups, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
	}
	defer f.Close() // only read
	g := &groups{name: name, v1: map[string]string{}}
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		g.mount(strings.Fields(scan.Text()))
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("look for cgroups: %w", err)
	}
	g.prepare()
	return g, nil
}

// mount takes note of one line of mountinfo.
func (g *groups) mount(fields []string) {
	dash := slices.Index(fields, "-")
	if dash < 5 || len(fields) < dash+4 {
		return
	}
	point, kind, options := fields[4], fields[dash+1], strings.Split(fields[dash+3], ",")
	switch kind {
	case "cgroup2":
		g.unified = steadier(g.unified, point)
	case "cgroup":
		for _, c := range controllers {
			if slices.Contains(options, c) {
				g.v1[c] = steadier(g.v1[c], point)
			}
		}
	}
}

// steadier is where control groups are for good, of two places: others than the
// usual one come and go with whoever mounted them.
func steadier(known, found string) string {
	const usual = "/sys/fs/cgroup"
	if known == "" || strings.HasPrefix(found, usual) && !strings.HasPrefix(known, usual) {
		return found
	}
	return known
}

// prepare makes the cloud's level and drops what cannot be used, so that a
// machine without cgroups (a container, most likely) is known as one.
func (g *groups) prepare() {
	for c, point := range g.v1 {
		if err := os.MkdirAll(filepath.Join(point, "mek", g.name), 0o755); err != nil {
			delete(g.v1, c)
		}
	}
	if g.unified != "" && os.MkdirAll(filepath.Join(g.unified, "mek", g.name), 0o755) != nil {
		g.unified = ""
	}
	for _, c := range controllers {
		if _, ok := g.v1[c]; !ok && !g.enable(c) {
			g.lost = append(g.lost, c)
		}
	}
	g.weigh()
}

// weigh lets all guests together weigh as much as two ordinary processes per
// processor. A group weighs as much as one unless told otherwise, so that a
// busy host would starve its guests; the other extreme would starve the agent.
func (g *groups) weigh() {
	point, v1 := g.v1["cpu"]
	if !v1 {
		point = g.unified
	}
	all := settings("cpu", v1, limits{shares: 2048 * runtime.NumCPU(), periodUS: 100_000})
	for _, dir := range []string{filepath.Join(point, "mek"), filepath.Join(point, "mek", g.name)} {
		// Where this fails there are no limits either, and lost says so.
		_ = os.WriteFile(filepath.Join(dir, all[0][0]), []byte(all[0][1]), 0)
	}
}

// enable passes a controller down the version 2 tree.
func (g *groups) enable(controller string) bool {
	if g.unified == "" {
		return false
	}
	for _, dir := range []string{g.unified, filepath.Join(g.unified, "mek"), filepath.Join(g.unified, "mek", g.name)} {
		if os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0) != nil {
			return false
		}
	}
	return true
}

// list names the groups of this cloud, one per guest.
func (g *groups) list() ([]string, error) {
	var names []string
	for _, dir := range g.dirs("") {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	return names, nil
}

// dirs are the folders of a group (of the cloud itself for ""), unified first.
func (g *groups) dirs(name string) []string {
	var dirs []string
	if g.unified != "" {
		dirs = append(dirs, filepath.Join(g.unified, "mek", g.name, name))
	}
	for _, c := range controllers {
		if point, ok := g.v1[c]; ok {
			dirs = append(dirs, filepath.Join(point, "mek", g.name, name))
		}
	}
	return dirs
}

// create makes a group, or finds it, and sets its limits.
func (g *groups) create(name string, l limits) error {
	for _, dir := range g.dirs(name) {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a cgroup: %w", err)
		}
	}
	return g.limit(name, l)
}

// limit sets the limits of a group.
func (g *groups) limit(name string, l limits) error {
	for _, c := range controllers {
		if slices.Contains(g.lost, c) {
			continue
		}
		point, v1 := g.v1[c]
		if !v1 {
			point = g.unified
		}
		for _, s := range settings(c, v1, l) {
			if err := os.WriteFile(filepath.Join(point, "mek", g.name, name, s[0]), []byte(s[1]), 0); err != nil {
				return fmt.Errorf("limit a cgroup: %w", err)
			}
		}
	}
	return nil
}

// weight sets how much of the processors a group gets beside others.
func (g *groups) weight(name string, l limits) error {
	if slices.Contains(g.lost, "cpu") {
		return nil
	}
	point, v1 := g.v1["cpu"]
	if !v1 {
		point = g.unified
	}
	s := settings("cpu", v1, l)[0]
	if err := os.WriteFile(filepath.Join(point, "mek", g.name, name, s[0]), []byte(s[1]), 0); err != nil {
		return fmt.Errorf("weigh a cgroup: %w", err)
	}
	return nil
}

// settings are the files of one controller and what to write into them.
func settings(controller string, v1 bool, l limits) [][2]string {
	quota, memory := "max", "max"
	if l.quotaUS > 0 {
		quota = strconv.Itoa(l.quotaUS)
	}
	if l.memoryBytes > 0 {
		memory = strconv.FormatInt(l.memoryBytes, 10)
	}
	pids := "max"
	if l.pids > 0 {
		pids = strconv.Itoa(l.pids)
	}
	switch {
	case controller == "pids":
		return [][2]string{{"pids.max", pids}}
	case controller == "cpu" && v1:
		return [][2]string{{"cpu.shares", strconv.Itoa(min(max(l.shares, 2), 262144))},
			{"cpu.cfs_period_us", strconv.Itoa(l.periodUS)}, {"cpu.cfs_quota_us", strings.ReplaceAll(quota, "max", "-1")}}
	case controller == "cpu":
		weight := min(max(1+(l.shares-2)*9999/262142, 1), 10000) // the kernel's own conversion
		return [][2]string{{"cpu.weight", strconv.Itoa(weight)}, {"cpu.max", quota + " " + strconv.Itoa(l.periodUS)}}
	case v1:
		return [][2]string{{"memory.limit_in_bytes", strings.ReplaceAll(memory, "max", "-1")}}
	default:
		return [][2]string{{"memory.max", memory}}
	}
}

// enter moves the calling thread, which ends soon, into the version 1 groups of
// name: what it forks is born there. The version 2 tree takes whole processes
// only: see fork.
func (g *groups) enter(name string) error {
	for _, point := range g.v1 {
		if err := os.WriteFile(filepath.Join(point, "mek", g.name, name, "tasks"), []byte("0"), 0); err != nil {
			return fmt.Errorf("enter a cgroup: %w", err)
		}
	}
	return nil
}

// fork prepares a child to be born in the version 2 group of name.
func (g *groups) fork(name string, attr *syscall.SysProcAttr) (release func(), err error) {
	if g.unified == "" {
		return func() {}, nil
	}
	fd, err := unix.Open(filepath.Join(g.unified, "mek", g.name, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a cgroup: %w", err)
	}
	attr.UseCgroupFD, attr.CgroupFD = true, fd
	return func() { _ = unix.Close(fd) }, nil
}

// kill ends every process of a group at once. The group may be gone.
func (g *groups) kill(name string) error {
	for _, dir := range g.dirs(name) {
		err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		if err == nil {
			return nil // the unified tree knows them all
		}
		if err := killListed(dir); err != nil {
			return err
		}
	}
	return nil
}

// killListed is for trees without cgroup.kill.
func killListed(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list a cgroup: %w", err)
	}
	for _, word := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(word)
		if err != nil || pid <= 0 {
			continue // 0: a process of a namespace that we do not see into
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill a process of a cgroup: %w", err)
		}
	}
	return nil
}

// remove takes a group away; busy while processes are in it. It may be gone.
func (g *groups) remove(name string) error {
	for _, dir := range g.dirs(name) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a cgroup: %w", err)
		}
	}
	return nil
}

// kinds says what confines processes here, for Capabilities.
func (g *groups) kinds() []string {
	var kinds []string
	if len(g.v1) > 0 {
		kinds = append(kinds, "cgroup-v1")
	} else if g.unified != "" {
		kinds = append(kinds, "cgroup-v2")
	}
	if g.unified != "" {
		kinds = append(kinds, "kill")
	}
	return kinds
}
