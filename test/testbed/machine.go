package testbed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/id"
)

// Machine is one machine of a bed.
type Machine struct {
	bed     *Bed
	number  int
	Name    string // in the cloud, too
	Address string // on the network that joins the machines
	ns      string
	dir     string // everything of the machine and of its user
	data    string
	bin     string
	groups  string // where the control groups are shown; empty: nowhere
	off     bool
}

// enterScript shows a program the machine's own boot, then becomes it.
const enterScript = `#!/bin/sh
mount --bind "$(dirname "$0")/boot_id" /proc/sys/kernel/random/boot_id && exec "$@"
`

// connect makes the machine's namespace and its link.
func (m *Machine) connect() {
	m.bed.t.Helper()
	m.off = false
	m.must("ip", "netns", "add", m.ns)
	if err := m.bed.wire.plug(m.number, m.ns); err != nil {
		m.bed.t.Fatal(err)
	}
	m.must("ip", "-n", m.ns, "link", "set", "lo", "up")
	// A card keeps its hardware address when the machine starts again, and each start has a name of its own.
	m.must("ip", "-n", m.ns, "link", "set", "eth0", "address", fmt.Sprintf("02:77:00:00:00:%02x", m.number+1))
	for name, text := range map[string]string{"boot_id": id.New() + "\n", "enter": enterScript} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o755); err != nil {
			m.bed.t.Fatal(err)
		}
	}
	m.must("ip", "-n", m.ns, "address", "add", m.Address+"/24", "dev", "eth0")
	m.must("ip", "-n", m.ns, "link", "set", "eth0", "up")
}

func (m *Machine) must(args ...string) {
	m.bed.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		m.bed.t.Fatalf("%s: %v %s", strings.Join(args, " "), err, out)
	}
}

// command is a program inside the machine, as its user.
func (m *Machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", m.ns, filepath.Join(m.dir, "enter")}, args...)...)
	own := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MEK_") }) // of this test, not settings
	cmd.Env = append(own, "HOME="+m.dir, "XDG_CONFIG_HOME="+filepath.Join(m.dir, ".config"), "SUDO_USER=", "PYTHONWARNINGS=ignore",
		"PATH=/usr/bin:/usr/sbin:/bin:/sbin")
	cmd.Dir = m.dir
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Run runs a program inside the machine and gives its standard output.
func (m *Machine) Run(timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := m.command(ctx, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return out.String(), err
}

// Follow runs a program inside the machine and gives each line that it prints.
func (m *Machine) Follow(timeout time.Duration, printed func(line string), args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := m.command(ctx, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		printed(lines.Text())
	}
	return errors.Join(lines.Err(), cmd.Wait())
}

// Try runs a command of mek on the machine's cloud.
func (m *Machine) Try(args ...string) (string, error) {
	return m.Run(5*time.Minute, append([]string{m.bin}, append(args, "--data-dir", m.data)...)...)
}

// Mek is Try that must succeed.
func (m *Machine) Mek(args ...string) string {
	m.bed.t.Helper()
	out, err := m.Try(args...)
	if err != nil {
		m.bed.t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Up makes a cloud with its server on the machine.
func (m *Machine) Up(args ...string) {
	m.bed.t.Helper()
	m.UpWith("", args...)
}

// UpWith is Up with further lines of the operator's file.
func (m *Machine) UpWith(settings string, args ...string) {
	m.bed.t.Helper()
	m.settings(settings)
	m.Mek(append([]string{"up", "--no-install", "--listen", m.Address + ":8443", "--image", guestImage(m.bed.t)}, args...)...)
}

// settings writes the operator's file: a name of its own, since all machines
// of a bed have one kernel and so one name.
func (m *Machine) settings(more string) {
	m.bed.t.Helper()
	if err := os.MkdirAll(m.data, 0o755); err != nil {
		m.bed.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.data, config.OperatorFile), []byte("host_name: "+m.Name+"\n"+more), 0o644); err != nil {
		m.bed.t.Fatal(err)
	}
}

// Join makes the machine a host of another's cloud.
func (m *Machine) Join(server *Machine) {
	m.bed.t.Helper()
	m.Mek("agent", "join", "--no-install", "--name", m.Name, "--image", guestImage(m.bed.t), server.Token())
}

// Token is a word by which one machine can join this one's cloud.
func (m *Machine) Token() string {
	m.bed.t.Helper()
	return strings.TrimSpace(m.Mek("agent", "token", "--quiet"))
}

// Config is what the machine's cloud was told.
func (m *Machine) Config() config.Config {
	m.bed.t.Helper()
	c, err := config.Load(m.data, nil, nil)
	if err != nil {
		m.bed.t.Fatal(err)
	}
	return c
}

// ConsoleLog is the file of what a guest of this machine has said.
func (m *Machine) ConsoleLog(server string) string {
	m.bed.t.Helper()
	return filepath.Join(m.Config().Agent().InstanceDir, "guests", server, "console.log")
}

// AwaitConsole waits until a guest of this machine has said a word.
func (m *Machine) AwaitConsole(server, word string) {
	m.bed.t.Helper()
	m.bed.Until("guest "+server+" says "+word, 3*time.Minute, func() (bool, string) {
		text, err := os.ReadFile(m.ConsoleLog(server))
		return strings.Contains(string(text), word), fmt.Sprintf("%v %s", err, text[max(0, len(text)-200):])
	})
}

func (m *Machine) installed() bool {
	_, err := os.Stat(filepath.Join(m.data, config.SettingsFile))
	return err == nil
}

// Processes are the machine's, by id, with their words. Guests are among them:
// they have networks of their own and say whose they are.
func (m *Machine) Processes() map[int][]string {
	found := map[int][]string{}
	files, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return found // the pattern is well formed
	}
	own := m.namespaceID()
	guests := "of no cloud"
	if c, err := config.Load(m.data, nil, nil); err == nil {
		guests = "MEK_OWNER=" + c.Hash + "/"
	}
	for _, dir := range files {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue // not a process, or this one, a thread of which may have looked into the machine
		}
		at, err1 := os.Readlink(dir + "/ns/net")
		environment, err2 := os.ReadFile(dir + "/environ")
		if err1 != nil || err2 != nil || at != own && !strings.Contains(string(environment), guests) {
			continue // another's, or gone
		}
		line, err := os.ReadFile(dir + "/cmdline")
		if err == nil && len(line) > 0 {
			found[pid] = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		}
	}
	return found
}

func (m *Machine) namespaceID() (id string) {
	_ = within(m.ns, func() (err error) { // a namespace that is gone has no processes
		id, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	return id
}

// Find gives the processes of a name: "server", "agent" and "supervise" are
// mek's own, others are the names of programs.
func (m *Machine) Find(name string) []int {
	var found []int
	for pid, words := range m.Processes() {
		program := filepath.Base(words[0])
		if program == name || program == "mek" && len(words) > 1 && words[1] == name {
			found = append(found, pid)
		}
	}
	return found
}

// Guests are the servers that run on the machine, by id: one entry a process.
func (m *Machine) Guests() []string {
	var ids []string
	for _, words := range m.Processes() {
		at := slices.Index(words, "-uuid")
		if strings.Contains(filepath.Base(words[0]), "qemu-system") && at >= 0 && at+1 < len(words) {
			ids = append(ids, words[at+1])
		}
	}
	slices.Sort(ids)
	return ids
}

// Kill ends the processes of a name at once.
func (m *Machine) Kill(name string) {
	m.bed.t.Helper()
	pids := m.Find(name)
	if len(pids) == 0 {
		m.bed.t.Fatalf("%s does not run on %s", name, m.Name)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			m.bed.t.Errorf("kill %s: %v", name, err)
		}
	}
}

// killAll ends everything on the machine. What is started meanwhile ends too.
func (m *Machine) killAll() {
	m.bed.Until("all processes of "+m.Name+" end", 30*time.Second, func() (bool, string) {
		left := m.Processes()
		for pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		return len(left) == 0, fmt.Sprint(left)
	})
}

// PowerOff takes the machine's power: everything but its disk is gone.
func (m *Machine) PowerOff() {
	m.bed.t.Helper()
	run := m.Config().RunDir()
	m.killAll()
	m.bed.wire.unplug(m.number)
	m.must("ip", "netns", "del", m.ns)
	m.off = true
	if err := os.RemoveAll(run); err != nil {
		m.bed.t.Fatal(err)
	}
}

// PowerOn starts a machine that lost its power: what init starts, and nothing else.
func (m *Machine) PowerOn() {
	m.bed.t.Helper()
	m.connect()
	m.Boot()
}

// Boot starts what init would start. It goes on without the test.
func (m *Machine) Boot() {
	m.bed.t.Helper()
	cmd := m.command(context.Background(), m.bin, "up", "--no-install", "--data-dir", m.data) // where systemd runs, its unit
	log, err := os.OpenFile(filepath.Join(m.data, "log", "boot.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		m.bed.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		m.bed.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // it ends when the machine does
}

// Dial connects from within the machine.
func (m *Machine) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = within(m.ns, func() (err error) {
		conn, err = (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// showLogs prints the ends of the logs of a machine whose test failed.
func (m *Machine) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(m.data, "log", "*.log")) // the pattern is well formed
	for _, name := range logs {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // the log went away; the others may tell more
		}
		m.bed.t.Logf("--- %s %s\n%s", m.Name, filepath.Base(name), content[max(0, len(content)-6000):])
	}
}
