package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/test/report"
)

// TestExhaustion takes away, one after the other, what server and agent need of
// the machine: descriptors, room on the disk of the host's images and disks,
// inodes there, memory, threads. New work is refused or ends in an error with a
// reason, reads are answered, deletes come to their end, and everything is taken
// up again by itself when there is enough (F7).
func TestExhaustion(t *testing.T) {
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("part of make soak")
	}
	r := report.Start(t, "F7", report.Seed(t))
	end := time.Now().Add(report.Length(t, 0))
	c := newCloudOn(t, smallFolders)
	k := newKilling(c)
	k.report = r
	before := k.left()
	for round := 0; round == 0 || time.Now().Before(end) && !t.Failed(); round++ {
		name := fmt.Sprintf("exhaust-%d", round)
		k.fewDescriptors(name)
		k.hostFull(name+"-full", "room")
		k.hostFull(name+"-inodes", "inodes")
		k.dies(name+"-memory", "server", unix.RLIMIT_AS)
		k.dies(name+"-agent-memory", "agent", unix.RLIMIT_AS)
		k.dies(name+"-threads", "server", unix.RLIMIT_NPROC)
	}
	k.sweep()
	c.until("doctor finds nothing", time.Minute, func() (bool, string) {
		code, out := c.exit("doctor", "--json")
		return code == 0, out
	})
	c.until("nothing is left", 30*time.Second, func() (bool, string) {
		d := difference(before, k.left())
		return d == "", d
	})
}

// limit cuts what a process may have of a resource, until the returned function
// is called.
func (k *killing) limit(pid, resource int, most uint64) (back func()) {
	k.t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: unix.RLIM_INFINITY}, &old); err != nil {
		if err = unix.Prlimit(pid, resource, nil, &old); err == nil {
			err = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: old.Max}, nil)
		}
		if err != nil {
			k.t.Fatalf("limit of process %d: %v", pid, err)
		}
	}
	return func() { _ = unix.Prlimit(pid, resource, &old, nil) } // it may be gone
}

// fewDescriptors: server and agent can open nothing new for a while.
func (k *killing) fewDescriptors(name string) {
	kept := k.boot(name)
	for _, process := range []string{"agent", "server"} {
		pid := k.processOf(process)
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			k.t.Fatal(err)
		}
		back := k.limit(pid, unix.RLIMIT_NOFILE, uint64(len(open)))
		k.report.Fault("no descriptors for the "+process, 1)
		var made string
		if process == "agent" { // the server answers, and the operation waits or fails with a reason
			over := k.meanwhile("an agent without descriptors")
			made = k.create(k.volume, "volumes", "volume", map[string]any{"name": name + "-" + process, "size": 1})
			time.Sleep(3 * time.Second)
			over()
		} else {
			time.Sleep(3 * time.Second)
		}
		back()
		if now := k.processOf(process); now != pid {
			k.report.Violation("%s without descriptors: process %d became %d", process, pid, now)
		}
		if made != "" {
			k.settled("volumes/"+made, "volume", k.volume)
			k.remove(k.volume, "volumes", "volume", made)
		}
		k.works(name + "-after-" + process)
	}
	k.remove(k.compute, "servers", "server", kept)
}

// settled has something end well, or in an error.
func (k *killing) settled(path, key string, s *apiclient.Service) string {
	state := k.settle(s, path, key)
	if state == "unknown" || state == "" {
		k.report.Violation("%s stays in between", path)
	}
	return state
}

// works: new work is taken and done.
func (k *killing) works(name string) {
	k.t.Helper()
	volume := k.create(k.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	if state := k.settle(k.volume, "volumes/"+volume, "volume"); state != "available" {
		k.report.Violation("%s: a volume is %s", name, state)
	}
	k.remove(k.volume, "volumes", "volume", volume)
	k.remove(k.compute, "servers", "server", k.boot(name))
}

// hostFolders are where the agent keeps what guests have, each a file system of
// its own, small enough to be filled.
func (c *cloud) hostFolders() (out []string) {
	for _, f := range []string{"instances", "volumes"} {
		out = append(out, filepath.Join(c.data, "agent", f))
	}
	return out
}

func smallFolders(c *cloud) {
	c.t.Helper()
	for _, at := range c.hostFolders() {
		c.must("install", "-d", "-m", "0755", c.data)
		c.must("install", "-d", "-m", "0700", filepath.Dir(at), at)
		c.must("mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=600,mode=0700", "tmpfs", at)
		c.t.Cleanup(func() { c.must("umount", "-l", at) })
	}
}

// fill leaves no room, or no inodes, until the returned function is called.
func (k *killing) fill(at, what string) (back func()) {
	k.t.Helper()
	var room unix.Statfs_t
	if err := unix.Statfs(at, &room); err != nil {
		k.t.Fatal(err)
	}
	var made []string
	add := func() *os.File {
		f, err := os.Create(filepath.Join(at, fmt.Sprint("filler-", len(made))))
		if err != nil {
			return nil // no inode is left
		}
		made = append(made, f.Name())
		return f
	}
	if what == "room" {
		f := add()
		if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(room.Bavail)*room.Bsize); err != nil {
			k.t.Fatal(err)
		}
		f.Close()
	} else {
		for f := add(); f != nil; f = add() {
			f.Close()
		}
	}
	return func() {
		for _, name := range made {
			if err := os.Remove(name); err != nil {
				k.t.Error(err)
			}
		}
	}
}

// hostFull: what the agent writes to for guests is a file system that is full.
func (k *killing) hostFull(name, what string) {
	pid := k.processOf("agent")
	var back []func()
	for _, at := range k.hostFolders() {
		back = append(back, k.fill(at, what))
	}
	k.report.Fault("no "+what+" on the host", 1)
	over := k.meanwhile("a host without " + what)
	server := k.create(k.compute, "servers", "server", map[string]any{"name": name, "flavorRef": k.flavor, "imageRef": k.image, "networks": []map[string]any{{"uuid": k.net}}})
	volume := k.create(k.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	time.Sleep(5 * time.Second)
	over()
	k.t.Logf("without %s: server %s, volume %s", what, k.state(k.compute, "servers/"+server, "server"), k.state(k.volume, "volumes/"+volume, "volume"))
	k.remove(k.compute, "servers", "server", server)
	k.remove(k.volume, "volumes", "volume", volume)
	for _, f := range back {
		f()
	}
	if now := k.processOf("agent"); now != pid {
		k.report.Violation("the agent without %s: process %d became %d", what, pid, now)
	}
	k.works(name + "-after")
}

// state is what something says it is, with the reason of an error.
func (k *killing) state(s *apiclient.Service, path, key string) string {
	var out map[string]apiclient.Object
	if err := k.again(func(ctx context.Context) error { return s.Get(ctx, path, &out) }); err != nil {
		return err.Error()
	}
	text := out[key].Text("status")
	if text == "ERROR" && out[key]["fault"] == nil {
		k.report.Violation("I-22: %s is in ERROR and does not say why", path)
	}
	return fmt.Sprint(text, " ", out[key]["fault"])
}

// dies: without memory or threads a process may end; what follows it goes on
// where it was, and guests never notice.
func (k *killing) dies(name, process string, resource int) {
	kept := k.boot(name)
	guest, pid := k.guestOf(kept), k.processOf(process)
	back := k.limit(pid, resource, 1)
	k.report.Fault(fmt.Sprintf("limit %d of the %s", resource, process), 1)
	volume := k.create(k.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	time.Sleep(3 * time.Second)
	back()
	if volume != "" {
		k.settled("volumes/"+volume, "volume", k.volume)
		k.remove(k.volume, "volumes", "volume", volume)
	}
	k.works(name + "-after")
	if now := k.guestOf(kept); now != guest {
		k.report.Violation("I-33: the guest of %s was process %d and is %d", kept, guest, now)
	}
	k.remove(k.compute, "servers", "server", kept)
}
