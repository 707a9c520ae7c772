package plan

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/hostnet"
	"github.com/mekcloud/mek/internal/network/hostnet/ovs"
	"github.com/mekcloud/mek/internal/pki"
)

// The names of our own processes.
const (
	ServerName     = "server"
	AgentName      = "agent"
	SupervisorName = "supervise"
)

// ServiceUser runs what needs no privilege.
const ServiceUser = "mek"

// Plan is what runs. Stages start one after the other, and stop the other way round.
type Plan struct {
	Central []engine.Process // of the network, once per cloud
	Switch  []engine.Process // of the network, on this host
	Own     []engine.Process // server and agent
	// Userspace: the switch forwards by itself, and makes the link UserspaceLink.
	Userspace bool
}

// UserspaceLink is the link that Open vSwitch makes for its userspace datapath
// and leaves behind. The name is the same for every cloud.
const UserspaceLink = "ovs-netdev"

// Stages is the order of start: databases before what reads them, our own last.
func (p Plan) Stages() [][]engine.Process {
	var databases, daemons []engine.Process
	for _, list := range [][]engine.Process{p.Central, p.Switch} {
		for _, proc := range list {
			if filepath.Base(proc.Path) == "ovsdb-server" {
				databases = append(databases, proc)
			} else {
				daemons = append(daemons, proc)
			}
		}
	}
	var stages [][]engine.Process
	for _, stage := range [][]engine.Process{databases, daemons, p.Own} {
		if len(stage) > 0 {
			stages = append(stages, stage)
		}
	}
	return stages
}

// Account is the user and group ids of the service user; zeros when this
// process is not root, since everything then runs as the caller.
func Account() (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return 0, 0, nil
	}
	u, err := user.Lookup(ServiceUser)
	if err != nil {
		return 0, 0, fmt.Errorf("user %s: %w", ServiceUser, err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return uid, gid, errors.Join(err1, err2)
}

// HostSwitch is how this host's switch is set up, from the agent's point of
// view. userspace says that the kernel has no datapath for it.
func HostSwitch(a config.Agent, userspace bool, ledger hostnet.Ledger, log *slog.Logger) (ovs.Config, error) {
	external, err1 := netip.ParsePrefix(a.Network.PublicRange)
	metadata, err2 := netip.ParsePrefix(a.Network.MetadataRange)
	encap := netip.MustParseAddr("127.0.0.1")
	var err3 error
	if a.Network.TunnelAddress != "" {
		encap, err3 = netip.ParseAddr(a.Network.TunnelAddress)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return ovs.Config{}, fmt.Errorf("addresses of the host's switch: %w", err)
	}
	return ovs.Config{
		Hash: a.Hash, Endpoint: "unix:" + a.SwitchDB, Run: a.SwitchDir, Chassis: a.HostName, Southbound: "unix:" + a.Southbound,
		Encap: encap, Userspace: userspace, External: netip.PrefixFrom(external.Addr().Next(), external.Bits()), Physical: a.Network.PhysicalNet,
		Masquerade: true, MetadataRange: metadata, MetadataPort: a.Network.MetadataPort,
		Frames: int64(a.Network.PortFrames), Bytes: int64(a.Network.PortMiB) << 20, Ledger: ledger, Log: log,
	}, nil
}

// Prepare makes the engines' databases and returns the plan. exe is the
// program of server and agent.
func Prepare(ctx context.Context, c config.Config, exe string, log *slog.Logger) (Plan, error) {
	uid, gid, err := Account()
	if err != nil {
		return Plan{}, err
	}
	own, err := ownProcesses(c, exe, uid, gid)
	if err != nil || !c.HostHere() {
		return Plan{Own: own}, err
	}
	agent := c.Agent()
	kernel, reason := engines.KernelDatapath(ctx)
	log.Info("datapath of the switch", "kernel", kernel, "reason", reason)
	sw, err := HostSwitch(agent, !kernel, nil, log)
	if err != nil {
		return Plan{}, err
	}
	host := engines.Host{Data: c.Path("switch"), Run: agent.SwitchDir, Logs: c.Path("log", "switch"), Userspace: !kernel, Identity: sw.Identity()}
	p := Plan{Own: own, Userspace: !kernel}
	if err := host.Prepare(ctx); err != nil {
		return Plan{}, err
	}
	if p.Switch, err = host.Processes(); err != nil || c.Joined() {
		return p, err // OVN's databases are where the server is
	}
	central := engines.Central{Data: c.Path("ovn"), Run: filepath.Join(c.RunDir(), "ovn"), Logs: c.Path("log", "ovn"), UID: uid, GID: gid}
	if err := errors.Join(central.Prepare(ctx), giveFiles(central.Data, uid, gid)); err != nil {
		return Plan{}, err
	}
	p.Central, err = central.Processes()
	return p, err
}

// giveFiles gives everything in a folder to the service user: the database
// tool leaves lock files beside a database that belong to whoever called it.
func giveFiles(dir string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("files of a network engine: %w", err)
	}
	for _, e := range entries {
		if err := os.Lchown(filepath.Join(dir, e.Name()), uid, gid); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("owner of a network engine's file: %w", err)
		}
	}
	return nil
}

// ownProcesses describes server and agent. They are replaced when the program
// or the configuration changed.
func ownProcesses(c config.Config, exe string, uid, gid int) ([]engine.Process, error) {
	version, err := Version(c, exe)
	if err != nil {
		return nil, err
	}
	agent := engine.Process{
		Name: AgentName, Path: exe, Args: []string{"agent", "--data-dir", c.DataDir}, Log: c.Path("log", "agent.log"), Version: version,
		Ready: AgentReady(c), ReadyTimeout: time.Minute, Alone: true, Env: []string{"HOME=/root"},
	}
	if c.Joined() {
		return []engine.Process{agent}, nil
	}
	server := engine.Process{
		Name: ServerName, Path: exe, Args: []string{"server", "--data-dir", c.DataDir}, Log: c.Path("log", "server.log"), Version: version,
		UID: uid, GID: gid, Ready: serverReady(c), ReadyTimeout: time.Minute, Alone: true, Env: []string{"HOME=/nonexistent"},
	}
	if os.Geteuid() == 0 {
		server.Env = append(server.Env, "MEK_RUN_ROOT=system")
	}
	doors := []string{c.Listen}
	server.Env = append(server.Env, "MEK_LISTEN_FD=3")
	if own := c.ObjectListen(); own != "" {
		doors = append(doors, own)
		server.Env = append(server.Env, "MEK_OBJECT_LISTEN_FD=4")
	}
	server.Doors = engine.NewDoors(doors...)
	if !c.HostHere() {
		return []engine.Process{server}, nil
	}
	return []engine.Process{server, agent}, nil
}

// Supervisor describes the supervisor itself. What it runs survives it.
func Supervisor(c config.Config, exe string) (engine.Process, error) {
	version, err := Version(c, exe)
	return engine.Process{
		Name: SupervisorName, Path: exe, Args: []string{"supervise", "--data-dir", c.DataDir}, Log: c.Path("log", "supervise.log"),
		Version: version, Alone: true, Env: []string{"HOME=/root"},
	}, err
}

// Version changes with the program and the configuration files.
func Version(c config.Config, exe string) (string, error) {
	fi, err := os.Stat(exe)
	if err != nil {
		return "", fmt.Errorf("own program: %w", err)
	}
	h := sha256.New()
	fmt.Fprint(h, fi.Size(), fi.ModTime().UnixNano()) // a hash never fails to write
	for _, name := range []string{config.SettingsFile, config.OperatorFile} {
		b, err := os.ReadFile(c.Path(name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("configuration: %w", err)
		}
		fmt.Fprintf(h, "\x00%s\x00%d\x00%s", name, len(b), b)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// LocalURL is the front door as it is reached from this machine.
func LocalURL(c config.Config) string {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c.Scheme() + "://" + c.Listen
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return c.Scheme() + "://" + net.JoinHostPort(host, port)
}

// serverReady asks the front door whether the database answers.
func serverReady(c config.Config) func(context.Context) error {
	return func(ctx context.Context) error { return Healthy(ctx, c) }
}

// Healthy returns nil when the front door answers and its database does.
func Healthy(ctx context.Context, c config.Config) error {
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if !c.InsecureHTTP {
		pool, err := pki.Pool(c.Server().CAFile)
		if err != nil {
			return err
		}
		conf.RootCAs = pool
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, Proxy: nil}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, LocalURL(c)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the API does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answers %s", resp.Status)
	}
	return nil
}

// AgentReady looks for the file that the agent writes when the server knows
// it; a file of the agent's predecessor does not count.
func AgentReady(c config.Config) func(context.Context) error {
	a, records := c.Agent(), filepath.Join(c.RunDir(), "engines", AgentName+".json")
	return func(context.Context) error {
		ready, err := os.Stat(a.ReadyFile)
		if err != nil {
			return errors.New("the server has not seen this host yet")
		}
		started, err := os.Stat(records)
		if err == nil && ready.ModTime().Before(started.ModTime()) {
			return errors.New("the server has not seen this host again yet")
		}
		return nil
	}
}
