package qemu

import (
	"strings"
	"testing"
)

// TestGroupsAreWhereTheyStay: of several places where control groups can be
// found, a driver takes the one that is there for good.
func TestGroupsAreWhereTheyStay(t *testing.T) {
	t.Parallel()
	line := func(point, kind, options string) string {
		return "33 24 0:28 / " + point + " rw,nosuid - " + kind + " " + kind + " " + options
	}
	for name, c := range map[string]struct {
		lines       []string
		unified, v1 string
	}{
		"the usual place":               {[]string{line("/sys/fs/cgroup", "cgroup2", "rw")}, "/sys/fs/cgroup", ""},
		"another before it":             {[]string{line("/tmp/x", "cgroup2", "rw"), line("/sys/fs/cgroup", "cgroup2", "rw")}, "/sys/fs/cgroup", ""},
		"another after it":              {[]string{line("/sys/fs/cgroup", "cgroup2", "rw"), line("/tmp/x", "cgroup2", "rw")}, "/sys/fs/cgroup", ""},
		"only others":                   {[]string{line("/a", "cgroup2", "rw"), line("/b", "cgroup2", "rw")}, "/a", ""},
		"a controller of its own":       {[]string{line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"), line("/tmp/cpu", "cgroup", "rw,cpu")}, "", "/sys/fs/cgroup/cpu,cpuacct"},
		"lines that are something else": {[]string{"", "33 24", line("/proc", "proc", "rw")}, "", ""},
	} {
		g := &groups{v1: map[string]string{}}
		for _, l := range c.lines {
			g.mount(strings.Fields(l))
		}
		if g.unified != c.unified || g.v1["cpu"] != c.v1 {
			t.Errorf("%s: %q and %q, want %q and %q", name, g.unified, g.v1["cpu"], c.unified, c.v1)
		}
	}
}
