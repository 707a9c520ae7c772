package servers

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/pki"
)

const (
	hosts    = 2
	password = "admin-secret"
)

// world is two servers, their hosts, their database and the front.
type world struct {
	t       *testing.T
	dir     string
	master  string
	pg      *dbtest.Server
	servers []*process
	buses   []*proxy // of the servers
	agents  []*process
	front   *front
}

// process is one process of the binary that can die and come back.
type process struct {
	t    *testing.T
	name string
	conf config.Config
	args []string
	cmd  *exec.Cmd
	log  string

	binary string // empty: MEK_BINARY
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), pg: dbtest.NewServer(t)}
	ports := freePorts(t, 6)
	var doors []string
	for i := range 2 {
		listen, bus, streams := ports[3*i], ports[3*i+1], ports[3*i+2]
		p := w.process(fmt.Sprintf("server-%d", i+1), []string{"server"}, map[string]any{"listen": listen, "address": "127.0.0.1", "bus": map[string]any{"listen": bus, "streams": streams},
			"database": w.pg.URL(), "shared_dir": filepath.Join(w.dir, "shared"), "objectstore": map[string]any{"listen": "off"},
			"quotas": map[string]any{"instances": -1, "cores": -1, "ram": -1, "volumes": -1, "gigabytes": -1, "security_group": -1, "port": -1}})
		w.servers = append(w.servers, p)
		w.buses = append(w.buses, newProxy(t, bus))
		doors = append(doors, listen)
	}
	w.secrets()
	for i := range hosts {
		a := w.process(fmt.Sprintf("host-%d", i+1), []string{"agent", "--simulate"}, map[string]any{"servers": []any{w.buses[0].address(), w.buses[1].address()}})
		w.agents = append(w.agents, a)
		w.certify(a, pki.RoleAgent, a.conf.Agent().Bus)
	}
	for _, p := range append(w.servers, w.agents...) {
		p.start()
	}
	w.front = newFront(t, doors)
	w.settled(time.Minute)
	return w
}

// process prepares a data directory.
func (w *world) process(name string, args []string, settings map[string]any) *process {
	w.t.Helper()
	dir := filepath.Join(w.dir, name)
	settings["host_name"], settings["simulate"], settings["simulate_apart"], settings["insecure_http"] = name, hosts, true, true
	if settings["listen"] == nil {
		settings["listen"] = "127.0.0.1:1" // agents have none
	}
	text, err := json.Marshal(settings) // JSON is YAML
	w.must(err)
	for _, sub := range []string{"secrets", "tls", "agent", "log"} {
		w.must(os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, sub := range []string{"images", "objects", "volumes"} {
		w.must(os.MkdirAll(filepath.Join(w.dir, "shared", sub), 0o755))
	}
	w.must(os.WriteFile(filepath.Join(dir, config.OperatorFile), text, 0o600))
	conf, err := config.Load(dir, nil, nil)
	w.must(err)
	w.must(os.MkdirAll(filepath.Join(conf.RunDir(), "server"), 0o755))
	w.t.Cleanup(func() { _ = os.RemoveAll(conf.RunDir()) }) // of this test alone
	p := &process{t: w.t, name: name, conf: conf, args: append(args, "--data-dir", dir), log: filepath.Join(dir, "log", "out.log")}
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("%s, at the end:\n%s", name, tail(p.log))
		}
	})
	return p
}

// secrets gives both servers the same keys, as an operator copies them.
func (w *world) secrets() {
	w.t.Helper()
	w.keys()
	first, second := w.servers[0].conf, w.servers[1].conf
	for _, sub := range []string{"secrets", "tls"} {
		w.must(os.CopyFS(second.Path(sub), os.DirFS(first.Path(sub))))
	}
	w.must(os.Chmod(second.Server().MasterKeyFile, 0o600))
	for _, p := range w.servers {
		w.certify(p, pki.RoleServer, p.conf.Server().Bus)
	}
}

// keys makes those of the first server.
func (w *world) keys() {
	w.t.Helper()
	first := w.servers[0].conf
	master, err := pki.MasterKey(first.Server().MasterKeyFile)
	w.must(err)
	_, err = pki.OpenAuthority(pki.FilesIn(first.DataDir), master, "test", clock.Real{})
	w.must(err)
	text, err := json.Marshal(config.Bootstrap{AdminPassword: password, DemoPassword: "demo-secret", ServicePassword: "service-secret"})
	w.must(err)
	w.must(os.WriteFile(first.Server().BootstrapFile, text, 0o600))
}

func (w *world) certify(p *process, role pki.Role, files config.BusFiles) {
	w.t.Helper()
	first := w.servers[0].conf
	master, err := pki.MasterKey(first.Server().MasterKeyFile)
	w.must(err)
	authority, err := pki.OpenAuthority(pki.FilesIn(first.DataDir), master, "test", clock.Real{})
	w.must(err)
	_, err = authority.EnsureBus(files.CertFile, files.KeyFile, role, p.conf.HostName, pki.Names{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	w.must(err)
	root, err := os.ReadFile(first.Server().CAFile)
	w.must(err)
	w.must(os.WriteFile(files.CAFile, root, 0o644))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (p *process) start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	program := p.binary
	if program == "" {
		program = os.Getenv("MEK_BINARY")
	}
	p.cmd = exec.Command(program, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.conf.DataDir}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill is SIGKILL; twice is fine.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // may be gone
	_ = p.cmd.Wait()         // reports the signal
	p.cmd = nil
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %s", p.name, err, tail(p.log))
	}
}

// settled waits until both servers answer and hear every host.
func (w *world) settled(limit time.Duration) {
	w.t.Helper()
	c := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{}}}
	until(w.t, "every server hears every host", limit, func() (bool, string) {
		for _, p := range w.servers {
			up, why := hostsUp(c, "http://"+p.conf.Listen)
			if up < len(w.agents) {
				return false, fmt.Sprintf("%s: %d hosts; %s", p.name, up, why)
			}
		}
		return true, ""
	})
}

// hostsUp counts the compute services that a server calls up.
func hostsUp(c *http.Client, door string) (int, string) {
	token, err := login(c, door)
	if err != nil {
		return 0, err.Error()
	}
	var body struct {
		Services []struct {
			Host, Binary, State string
		} `json:"services"`
	}
	a, err := ask(c, http.MethodGet, door+"/compute/v2.1/os-services", token, "", nil)
	if err == nil {
		err = json.Unmarshal(a.body, &body)
	}
	if err != nil {
		return 0, err.Error()
	}
	n := 0
	for _, s := range body.Services {
		if s.Binary == "nova-compute" && s.State == "up" {
			n++
		}
	}
	return n, string(a.body)
}

// until waits for something that is not told.
func until(t *testing.T, what string, limit time.Duration, done func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		ok, why := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v: %s", what, limit, why)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

// linksOf counts how often a host's log says that it learned of a server.
func linksOf(log string) int { return strings.Count(log, "another server of the cloud") }

func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// withoutSimulation are the settings of a server that does not know what its hosts are.
func withoutSimulation(settings, shared string) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(settings), &m); err != nil {
		panic(err) // they were written by this test
	}
	delete(m, "simulate")
	delete(m, "simulate_apart")
	m["shared_dir"] = shared
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // of what was read from JSON
	}
	return string(text)
}
