package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
)

// ours are the names of the clouds that this package's tests make.
var ours sync.Map

// named finds a cloud's name in a path.
var named = regexp.MustCompile(`/(?:run/mek|clouds)/([0-9a-f]{8})(?:/|$)`)

// place is a namespace and a folder for a cloud that is not there yet.
func place(t *testing.T) *cloud {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the acceptance tests need root: they make network namespaces and run guests")
	}
	dir, err := os.MkdirTemp("/var/lib", "mek-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, ns: filepath.Base(dir), dir: dir, data: filepath.Join(dir, "deep", "data"), bin: binary(t)}
	ours.Store(c.hash(), true)
	c.must("ip", "netns", "add", c.ns)
	t.Cleanup(func() {
		if t.Failed() {
			c.showLogs()
		}
		// A test that failed half way leaves a cloud; one that passed does not.
		if _, err := os.Stat(c.data); err == nil {
			if out, err := c.run(2*time.Minute, c.bin, "uninstall", "--purge", "--yes", "--data-dir", c.data); err != nil {
				t.Logf("uninstall: %v\n%s", err, out)
			}
		}
		if out, err := exec.Command("ip", "netns", "del", c.ns).CombinedOutput(); err != nil {
			t.Errorf("remove namespace: %v %s", err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	c.must("ip", "-n", c.ns, "link", "set", "lo", "up")
	return c
}

func (c *cloud) up(args ...string) string {
	c.t.Helper()
	return c.mek(append([]string{"up", "--no-install", "--listen", "127.0.0.1:8443"}, args...)...)
}

// exit runs mek and returns its exit code and everything it said.
func (c *cloud) exit(args ...string) (int, string) {
	c.t.Helper()
	out, err := c.run(2*time.Minute, append([]string{c.bin}, append(args, "--data-dir", c.data)...)...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, out
	case errors.As(err, &exit):
		return exit.ExitCode(), out + err.Error()
	}
	c.t.Fatal(err)
	return -1, ""
}

type processState struct {
	Name    string
	PID     int
	Running bool
}

func (c *cloud) processes() map[string]processState {
	c.t.Helper()
	var status struct{ Processes []processState }
	_, out := c.exit("status", "--json")
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&status); err != nil { // the error of a degraded cloud follows
		c.t.Fatalf("%v in %s", err, out)
	}
	all := map[string]processState{}
	for _, p := range status.Processes {
		all[p.Name] = p
	}
	return all
}

// host is what a cloud could leave behind: everything in the namespace, and of
// the rest what carries the cloud's folder or name.
func (c *cloud) host() []string {
	c.t.Helper()
	var all []string
	add := func(kind, text string) {
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			if line != "" {
				all = append(all, kind+" "+line)
			}
		}
	}
	for kind, args := range map[string][]string{
		"link": {"ip", "-br", "link"}, "address": {"ip", "-br", "address"}, "route": {"ip", "route", "show", "table", "all"},
		"rule": {"ip", "rule"}, "nft": {"nft", "list", "ruleset"}, "forward": {"cat", "/proc/sys/net/ipv4/ip_forward"},
	} {
		out, err := c.run(time.Minute, args...)
		if err != nil {
			c.t.Fatal(err)
		}
		add(kind, out)
	}
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		b, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		add(file, string(b))
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, c.dir) || strings.Contains(line, "/run/mek") {
			add("mount", line)
		}
	}
	for _, dir := range []string{c.dir, "/etc/mek", "/run/mek", "/etc/systemd/system"} {
		add("files", tree(dir))
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/mek/*")
	if err != nil {
		c.t.Fatal(err)
	}
	add("groups", strings.Join(groups, "\n"))
	add("process", strings.Join(c.running(), "\n"))
	all = slices.DeleteFunc(all, c.foreign())
	sort.Strings(all)
	return all
}

// foreign tells what belongs to other clouds of this machine, which come and go.
func (c *cloud) foreign() func(string) bool {
	files, err := filepath.Glob("/etc/mek/clouds/*")
	if err != nil {
		c.t.Fatal(err)
	}
	var hashes []string
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && !strings.HasPrefix(string(b), c.dir) {
			hashes = append(hashes, filepath.Base(file))
		}
	}
	return func(line string) bool {
		if line == "files /run/mek" || len(hashes) > 0 && (line == "files /etc/mek" || line == "files /etc/mek/clouds") {
			return true // they use it, too
		}
		if named := named.FindStringSubmatch(line); named != nil {
			if _, ok := ours.Load(named[1]); !ok { // other tests have servers that nobody registers
				return true
			}
		}
		return slices.ContainsFunc(hashes, func(h string) bool { return strings.Contains(line, "/"+h) }) ||
			len(hashes) > 0 && strings.HasPrefix(line, "files /run/mek/ids/")
	}
}

// hash is the name of the cloud on this machine.
func (c *cloud) hash() string {
	c.t.Helper()
	cfg, err := config.Load(c.data, nil, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return cfg.Hash
}

// tree lists the paths below a folder.
func tree(dir string) string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error { // what vanishes meanwhile is not there
		if err != nil || strings.Contains(path, ".cache") {
			return nil
		}
		out = append(out, path)
		return nil
	})
	return strings.Join(out, "\n")
}

// running are the processes in the cloud's namespace, and its guests, which
// have networks of their own and say whose they are.
func (c *cloud) running() []string {
	out, err := exec.Command("ip", "netns", "pids", c.ns).Output()
	if err != nil {
		c.t.Fatal(err)
	}
	pids := strings.Fields(string(out))
	mine := "MEK_OWNER=" + c.hash() + "/"
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, file := range environments {
		pid := filepath.Base(filepath.Dir(file))
		if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), mine) && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	var all []string
	for _, pid := range pids {
		line, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil {
			continue // ended meanwhile
		}
		all = append(all, strings.ReplaceAll(string(line), "\x00", " "))
	}
	return all
}

func difference(before, after []string) string {
	count := map[string]int{}
	for _, l := range before {
		count[l]--
	}
	for _, l := range after {
		count[l]++
	}
	var out []string
	for l, n := range count {
		if n != 0 {
			out = append(out, fmt.Sprintf("%+d %s", n, l))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// content is every file of the cloud that only "up" writes, with its time.
func (c *cloud) content() []string {
	var out []string
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(c.data, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if first := strings.Split(rel, "/")[0]; first == "db" || first == "log" || first == "agent" || first == "ovn" || first == "switch" || d.Name() == ".cache" {
				return filepath.SkipDir // written all the time by what runs
			}
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		out = append(out, fmt.Sprintf("%s %d %s %s", path, fi.Size(), fi.Mode(), fi.ModTime()))
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// life takes a cloud through its life and compares the host before and after.
func (c *cloud) life(upArgs ...string) {
	t := c.t
	before := c.host()
	c.up(upArgs...)
	first, files := c.processes(), c.content()

	begun := time.Now()
	c.up(upArgs...)
	t.Logf("second up: %v", time.Since(begun))
	if d := difference(files, c.content()); d != "" {
		t.Errorf("a second up changed files:\n%s", d)
	}
	if again := c.processes(); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("a second up changed processes: %v, were %v", again, first)
	}
	if code, out := c.exit("status"); code != 0 {
		t.Errorf("status of a ready cloud exits %d: %s", code, out)
	}
	if code, out := c.exit("doctor", "--json"); code != 0 {
		t.Errorf("doctor exits %d on a healthy cloud: %s", code, out)
	}
	for _, name := range sortedNames(first) {
		c.killAndHeal(name)
	}
	c.mek("down")
	if code, _ := c.exit("status"); code != 3 {
		t.Errorf("status of a stopped cloud exits %d, not 3", code)
	}
	c.up(upArgs...)
	c.mek("uninstall", "--purge", "--yes")
	if d := difference(before, c.host()); d != "" {
		t.Errorf("the host is not as before:\n%s", d)
	}
}

func sortedNames(m map[string]processState) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// killAndHeal kills one process; the supervisor brings it back, or up does
// when it is the supervisor.
func (c *cloud) killAndHeal(name string) {
	c.t.Helper()
	was := c.processes()
	if err := syscall.Kill(was[name].PID, syscall.SIGKILL); err != nil {
		c.t.Fatalf("kill %s: %v", name, err)
	}
	if name == "supervise" {
		c.up()
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		now := c.processes()
		if p := now[name]; p.Running && p.PID != was[name].PID {
			for other, p := range now {
				if other != name && p.PID != was[other].PID {
					c.t.Errorf("%s was restarted because %s was killed", other, name)
				}
			}
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s did not come back", name)
		}
		<-time.After(50 * time.Millisecond)
	}
	c.mek("wait", "--timeout", "60s")
}

func TestLifeOfASimulatedCloud(t *testing.T) {
	place(t).life("--simulate", "3", "--bare")
}

func TestLifeOfARealCloud(t *testing.T) {
	place(t).life("--bare")
}

func TestUpMayBeKilledAtAnyMoment(t *testing.T) {
	c := place(t)
	_ = os.Remove("/run/mek") // an empty one that others have left; it stays while somebody uses it
	before := c.host()
	if err := os.MkdirAll(filepath.Join("/run/mek", c.hash(), "engines"), 0o755); err != nil { // as one leaves that looked whether the cloud runs, and no more
		t.Fatal(err)
	}
	for _, after := range []time.Duration{1, 20, 40, 60, 80, 120, 180, 250, 350} {
		cmd := exec.Command("ip", "netns", "exec", c.ns, c.bin, "up", "--simulate", "2", "--bare", "--listen", "127.0.0.1:8443", "--data-dir", c.data)
		cmd.Env = append(os.Environ(), "HOME="+c.dir, "SUDO_USER=")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(after * time.Millisecond)
		_ = cmd.Process.Kill() // it may have finished
		_ = cmd.Wait()
	}
	c.up("--simulate", "2", "--bare")
	if code, out := c.exit("doctor"); code != 0 {
		t.Errorf("doctor exits %d: %s", code, out)
	}
	c.mek("uninstall", "--purge", "--yes")
	if d := difference(before, c.host()); d != "" {
		t.Errorf("the host is not as before:\n%s", d)
	}
}

func TestTwoCloudsShareAMachine(t *testing.T) {
	a, b := place(t), place(t)
	before := a.host()
	a.up("--simulate", "1", "--bare")
	b.up("--simulate", "1", "--bare")
	a.mek("uninstall", "--purge", "--yes")
	if code, out := b.exit("status"); code != 0 {
		t.Fatalf("the other cloud suffered: %s", out)
	}
	if code, out := b.exit("doctor"); code != 0 {
		t.Fatalf("the other cloud suffered: %s", out)
	}
	b.mek("uninstall", "--purge", "--yes")
	if d := difference(before, a.host()); d != "" {
		t.Errorf("the host is not as before:\n%s", d)
	}
}

func TestExitCodes(t *testing.T) {
	c := place(t)
	for _, probe := range []struct {
		want int
		args []string
		says string
	}{
		{1, []string{"status"}, "there is no cloud"},
		{2, []string{"up", "--listen", "nowhere"}, "listen"},
		{2, []string{"up", "--insecure-http", "--listen", "0.0.0.0:80", "--simulate", "1"}, "loopback"},
		{2, []string{"frobnicate"}, "frobnicate"},
		{2, []string{"ssh"}, "arg"},
		{5, []string{"wait", "--timeout", "10ms"}, "not ready"},
		{2, []string{"agent", "join", "TOKEN"}, "no token"},
	} {
		code, out := c.exit(probe.args...)
		if code != probe.want || !strings.Contains(out, probe.says) {
			t.Errorf("%v: exit %d, want %d, saying %q: %s", probe.args, code, probe.want, probe.says, out)
		}
	}
	if _, err := os.Stat(c.data); err == nil {
		t.Error("a command that failed made the data directory")
	}
}

func TestCredentialsWork(t *testing.T) {
	c := place(t)
	c.up("--simulate", "1", "--bare")
	for _, who := range []string{"admin", "demo"} {
		if project := c.as(who, "token", "issue").text("project_id"); project == "" {
			t.Errorf("%s got no token of a project", who)
		}
	}
	file := filepath.Join(c.dir, ".config", "openstack", "clouds.yaml")
	fi, err := os.Stat(file)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("clouds.yaml: %v %v", fi, err)
	}
	env := c.mek("env", "--cloud", "demo")
	if !strings.Contains(env, "export OS_USERNAME='demo'") || !strings.Contains(env, "OS_CACERT") {
		t.Errorf("env says %s", env)
	}
	server := c.processes()["server"].PID
	status, err := os.ReadFile("/proc/" + strconv.Itoa(server) + "/status")
	if err != nil || strings.Contains(string(status), "Uid:\t0") {
		t.Errorf("the server runs as root: %v\n%s", err, status)
	}
}

// TestFirstFiveMinutes is what a person does first: up, launch, ssh; then what
// befalls a cloud: its processes die under a running guest.
func TestFirstFiveMinutes(t *testing.T) {
	c := place(t)
	before := c.host()
	begun := time.Now()
	c.up("--image", guestImage(t))
	t.Logf("ready after %v", time.Since(begun))
	out := c.mek("launch", "first")
	if !strings.Contains(out, "openstack --os-cloud demo server create") || !strings.Contains(out, "172.24.4.") {
		t.Fatalf("launch says %s", out)
	}
	t.Logf("reached by ssh after %v", time.Since(begun))
	boot := c.inGuest("first", "cat /proc/sys/kernel/random/boot_id")
	if name := c.inGuest("first", "hostname"); name != "first" {
		t.Errorf("the guest calls itself %q", name)
	}
	files := c.content()
	c.up()
	c.mek("launch", "--first")
	if d := difference(files, c.content()); d != "" {
		t.Errorf("a second up and launch --first changed files:\n%s", d)
	}
	for _, name := range []string{"server", "agent", "supervise"} {
		c.killAndHeal(name)
	}
	c.mek("down")
	c.up()
	if again := c.inGuest("first", "cat /proc/sys/kernel/random/boot_id"); again != boot {
		t.Errorf("the guest was started again: boot id %s, was %s", again, boot)
	}
	if code, out := c.exit("doctor", "--json"); code != 0 {
		t.Errorf("doctor exits %d: %s", code, out)
	}
	c.deletedSamplesStayDeleted()
	c.mek("uninstall", "--purge", "--yes")
	if d := difference(before, c.host()); d != "" {
		t.Errorf("the host is not as before:\n%s", d)
	}
}

func (c *cloud) inGuest(server, command string) string {
	c.t.Helper()
	out, err := c.run(time.Minute, c.bin, "--data-dir", c.data, "ssh", server, command)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (c *cloud) deletedSamplesStayDeleted() {
	c.t.Helper()
	if _, err := c.tryOpenstack("admin", "flavor", "delete", "m1.xlarge"); err != nil {
		c.t.Fatal(err)
	}
	c.up()
	if _, err := c.tryOpenstack("admin", "flavor", "show", "m1.xlarge"); err == nil {
		c.t.Error("up made a flavor again that was deleted by hand")
	}
}
