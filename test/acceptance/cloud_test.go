package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// cloud is a cloud in a namespace of its own.
type cloud struct {
	t    *testing.T
	ns   string // network namespace
	dir  string // everything of the cloud and of its user
	data string
	bin  string
}

// newCloud brings a cloud up and takes it away again with the test.
func newCloud(t *testing.T, upArgs ...string) *cloud {
	t.Helper()
	return placeOf(t, func(string) string { return binary(t) }, upArgs...)
}

// placeOf is a cloud of a binary that is put into the folder of the cloud, or
// lies elsewhere.
func placeOf(t *testing.T, bin func(dir string) string, upArgs ...string) *cloud {
	t.Helper()
	return placeWith(t, bin, func(*cloud) {}, upArgs...)
}

// placeOver is newCloud over what prepare makes of its folder.
func placeOver(t *testing.T, prepare func(c *cloud), upArgs ...string) *cloud {
	t.Helper()
	return placeWith(t, func(string) string { return binary(t) }, prepare, upArgs...)
}

func placeWith(t *testing.T, bin func(dir string) string, prepare func(c *cloud), upArgs ...string) *cloud {
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
	c := &cloud{t: t, ns: filepath.Base(dir), dir: dir, data: filepath.Join(dir, "data"), bin: bin(dir)}
	c.must("ip", "netns", "add", c.ns)
	t.Cleanup(c.tearDown)
	prepare(c)
	c.must("ip", "-n", c.ns, "link", "set", "lo", "up")
	c.mek(append([]string{"up", "--detach", "--no-install", "--listen", "127.0.0.1:8443", "--image", guestImage(t)}, upArgs...)...)
	return c
}

func (c *cloud) tearDown() {
	if c.t.Failed() {
		c.showLogs()
	}
	args := []string{c.bin, "uninstall", "--yes", "--data-dir", c.data}
	if len(c.mounts()) == 0 { // they cannot be removed before they are unmounted
		args = append(args, "--purge")
	}
	if out, err := c.run(2*time.Minute, args...); err != nil {
		c.t.Errorf("uninstall: %v\n%s", err, out)
	}
	for _, at := range c.mounts() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			c.t.Errorf("unmount %s: %v", at, err)
		}
	}
	if out, err := exec.Command("ip", "netns", "del", c.ns).CombinedOutput(); err != nil {
		c.t.Errorf("remove namespace: %v %s", err, out)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		c.t.Error(err)
	}
}

// mounts are what a test has mounted below the cloud's folder.
func (c *cloud) mounts() (out []string) {
	list, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		c.t.Error(err)
	}
	for _, line := range strings.Split(string(list), "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], c.dir+"/") {
			out = append(out, f[1])
		}
	}
	return out
}

// showLogs prints the ends of the logs of a cloud whose test failed.
func (c *cloud) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(c.data, "log", "*.log")) // the pattern is well formed
	for _, name := range logs {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // the log went away; the others may tell more
		}
		c.t.Logf("--- %s\n%s", name, content[max(0, len(content)-8000):])
	}
}

// binary builds mek once per test run, as "make build" does.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MEK_BINARY")
	if path == "" {
		t.Fatal("MEK_BINARY must name the built binary; make test sets it")
	}
	return path
}

func guestImage(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MEK_TEST_GUEST")
	if path == "" {
		t.Fatal("MEK_TEST_GUEST must name the folder of the guest image; make test sets it")
	}
	return filepath.Join(path, "guest.qcow2")
}

// run runs a program inside the cloud's namespace, as its user.
func (c *cloud) run(timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", c.ns}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+c.dir, "XDG_CONFIG_HOME="+filepath.Join(c.dir, ".config"), "SUDO_USER=", "PYTHONWARNINGS=ignore",
		"PATH=/usr/bin:/usr/sbin:/bin:/sbin")
	cmd.Dir = c.dir
	cmd.WaitDelay = 5 * time.Second
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), err
}

func (c *cloud) mek(args ...string) string {
	c.t.Helper()
	out, err := c.run(5*time.Minute, append([]string{c.bin}, append(args, "--data-dir", c.data)...)...)
	if err != nil {
		c.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func (c *cloud) must(args ...string) {
	c.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v %s", strings.Join(args, " "), err, out)
	}
}

// tryOpenstack runs the client with an entry of clouds.yaml and gives its JSON.
func (c *cloud) tryOpenstack(who string, args ...string) (any, error) {
	words := append([]string{"/usr/bin/openstack", "--os-cloud", who}, args...)
	if printsJSON(args) {
		words = append(words, "-f", "json")
	}
	out, err := c.run(2*time.Minute, words...)
	if err != nil {
		return nil, err
	}
	var value any
	if strings.TrimSpace(out) == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(out), &value); err != nil {
		return out, nil // commands that print text
	}
	return value, nil
}

// printsJSON tells whether a command of the client knows -f json.
func printsJSON(args []string) bool {
	line := " " + strings.Join(args, " ") + " "
	for _, verb := range []string{" create ", " show ", " list ", " issue "} {
		if strings.Contains(line, verb) && !strings.HasPrefix(line, " console log") {
			return true
		}
	}
	return strings.HasPrefix(line, " server add volume ")
}

// openstack is tryOpenstack that must succeed, as the demo user.
func (c *cloud) openstack(args ...string) answer {
	c.t.Helper()
	return c.as("demo", args...)
}

func (c *cloud) as(who string, args ...string) answer {
	c.t.Helper()
	v, err := c.tryOpenstack(who, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{c.t, v}
}

// answer is what a command printed.
type answer struct {
	t     *testing.T
	value any
}

// text gives a member as text; names are those the client prints.
func (a answer) text(name string) string {
	a.t.Helper()
	m, ok := a.value.(map[string]any)
	if !ok || m[name] == nil {
		a.t.Fatalf("the client printed no %s: %v", name, a.value)
	}
	return fmt.Sprint(m[name])
}

// until repeats check until it holds; it fails the test when time is up.
func (c *cloud) until(what string, limit time.Duration, check func() (bool, string)) {
	c.t.Helper()
	end := time.Now().Add(limit)
	for {
		ok, seen := check()
		if ok {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: not after %v; last seen: %s", what, limit, seen)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// untilServer waits for a server's status.
func (c *cloud) untilServer(name, want string) {
	c.t.Helper()
	c.until("server "+name+" becomes "+want, 2*time.Minute, func() (bool, string) {
		v, err := c.tryOpenstack("demo", "server", "show", name)
		if err != nil {
			return want == "DELETED", err.Error()
		}
		m, _ := v.(map[string]any) // anything else is no server
		status := fmt.Sprint(m["status"])
		if status == "ERROR" && want != "ERROR" {
			c.t.Fatalf("server %s is in ERROR: %v", name, m["fault"])
		}
		return status == want, status
	})
}

// inside dials within the cloud's namespace.
func (c *cloud) inside(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() { // the thread that changed its namespace ends with this goroutine
		runtime.LockOSThread()
		handle, err := netns.GetFromName(c.ns)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		if err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// ssh runs a command in a guest; the output is without the last newline.
func (c *cloud) ssh(address, key, command string) (string, error) {
	out, err := c.run(40*time.Second, "ssh", "-q", "-i", key, "-o", "BatchMode=yes", "-o", "ConnectTimeout=8", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "cirros@"+address, "PATH=$PATH:/sbin:/usr/sbin; "+command)
	return strings.TrimRight(out, "\n"), err
}

// guest is ssh that must succeed.
func (c *cloud) guest(address, key, command string) string {
	c.t.Helper()
	out, err := c.ssh(address, key, command)
	if err != nil {
		c.t.Fatalf("%s in the guest: %v", command, err)
	}
	return out
}

func (c *cloud) untilSSH(address, key string) {
	c.t.Helper()
	c.until("ssh to "+address, 3*time.Minute, func() (bool, string) {
		out, err := c.ssh(address, key, "echo up")
		if err != nil {
			return false, err.Error()
		}
		return out == "up", out
	})
}

var errExit = &exec.ExitError{}

// exitCode is the code a command ended with; 0 when it succeeded.
func exitCode(err error) int {
	e := errExit
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return 0
}
