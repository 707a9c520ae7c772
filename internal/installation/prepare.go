package installation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
	"github.com/mekcloud/mek/internal/pki"
)

// registry says which clouds live on this machine: a file per cloud, named by
// its hash, holding its data directory and, on a second line, which network
// namespace it is in.
const registry = "/etc/mek/clouds"

// makeDataDir makes the data directory and what is missing above it, and
// returns the ledger in it. Folders made above it are recorded.
func (i *Installation) makeDataDir() (*ledger.Ledger, error) {
	var above []string
	for dir := filepath.Dir(i.cfg.DataDir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		above = append([]string{dir}, above...)
	}
	if err := os.MkdirAll(i.cfg.DataDir, 0o755); err != nil {
		return nil, &Failure{What: "data directory", Why: err, Do: "Choose another --data-dir, or run with sudo."}
	}
	led, err := i.ledger()
	if err != nil {
		return nil, err
	}
	for _, dir := range above {
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: dir, Detail: map[string]string{"keep": "others", "above": "yes"}}); err != nil {
			return nil, err
		}
	}
	return led, nil
}

// register gives this cloud a hash that no other cloud of this machine has.
func (i *Installation) register(led *ledger.Ledger) error {
	if os.Geteuid() != 0 {
		return nil // other users' clouds have other run directories, and no links
	}
	for _, dir := range []string{filepath.Dir(registry), registry, config.RunRoot()} {
		if err := makeShared(led, dir); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		taken, err := i.hashTaken()
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		other := config.Default(fmt.Sprintf("%s#%d", i.cfg.DataDir, try))
		i.cfg.Hash = other.Hash
	}
	path := filepath.Join(registry, i.cfg.Hash)
	if err := led.Record(ledger.Change{Kind: ledger.File, Name: path}); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(i.cfg.DataDir+"\n"+ownNamespace()+"\n"), 0o644)
}

// ownNamespace names the network namespace that this process is in.
func ownNamespace() string {
	name, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "unknown"
	}
	return name
}

// hashTaken tells whether another cloud uses the part of the hash that is in
// the names of links.
func (i *Installation) hashTaken() (bool, error) {
	same, err := filepath.Glob(filepath.Join(registry, i.cfg.Hash[:4]+"*"))
	if err != nil {
		return false, fmt.Errorf("clouds of this machine: %w", err)
	}
	for _, path := range same {
		if dir, _ := readRegistry(path); dir != "" && dir != i.cfg.DataDir {
			return true, nil
		}
	}
	return false, nil
}

func readRegistry(path string) (dataDir, namespace string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "" // taken off meanwhile
	}
	dataDir, namespace, _ = strings.Cut(strings.TrimSpace(string(b)), "\n")
	return dataDir, namespace
}

// otherClouds are data directories of clouds on this machine but this one, and
// among them those in the same network namespace.
func (i *Installation) otherClouds() (all, near []string, err error) {
	files, err := filepath.Glob(filepath.Join(registry, "*"))
	if err != nil {
		return nil, nil, fmt.Errorf("clouds of this machine: %w", err)
	}
	for _, path := range files {
		dir, namespace := readRegistry(path)
		if _, err := os.Stat(filepath.Join(dir, "ledger")); dir == "" || dir == i.cfg.DataDir || err != nil {
			continue // our own, or one whose folder somebody removed by hand
		}
		all = append(all, dir)
		if namespace == ownNamespace() {
			near = append(near, dir)
		}
	}
	return all, near, nil
}

// makeShared makes a folder that several clouds use; it goes when empty.
func makeShared(led *ledger.Ledger, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: dir, Detail: map[string]string{"keep": "others", "shared": "machine"}}); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// ensureUser makes the user that the server runs as.
func ensureUser(ctx context.Context, led *ledger.Ledger) (made bool, err error) {
	if os.Geteuid() != 0 {
		return false, nil
	}
	if _, err := user.Lookup(plan.ServiceUser); err == nil {
		return false, nil
	}
	for _, kind := range []ledger.Kind{ledger.Group, ledger.User} {
		if err := led.Record(ledger.Change{Kind: kind, Name: plan.ServiceUser}); err != nil {
			return false, err
		}
	}
	out, err := exec.CommandContext(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
		"--shell", "/usr/sbin/nologin", "--comment", "Mek cloud", plan.ServiceUser).CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("make user %s: %w: %s", plan.ServiceUser, err, strings.TrimSpace(string(out)))
	}
	return true, nil
}

// folders of the data directory and of the run directory. Those of the server
// belong to its user and are closed to others.
func (i *Installation) makeFolders(led *ledger.Ledger) error {
	uid, gid, err := plan.Account()
	if err != nil {
		return err
	}
	run := i.cfg.RunDir()
	if _, err := os.Stat(run); err != nil {
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: run}); err != nil {
			return err
		}
	}
	if !i.cfg.Simulated() {
		ids := filepath.Join(config.RunRoot(), "ids") // user ids of guests, shared by all clouds of the machine
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: ids, Detail: map[string]string{"shared": "machine"}}); err != nil {
			return err
		}
		if err := i.recordCgroups(led); err != nil {
			return err
		}
	}
	for _, dir := range []string{i.cfg.Path("log"), i.cfg.Path("tls"), run, filepath.Join(run, "engines")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	for _, dir := range []string{"agent", "agent/instances", "agent/volumes", "agent/cache"} {
		if err := os.MkdirAll(i.cfg.Path(dir), 0o711); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	for dir, mode := range map[string]os.FileMode{
		i.cfg.Path("db"): 0o700, i.cfg.Path("secrets"): 0o700, i.cfg.Path("images"): 0o700, i.cfg.Path("objects"): 0o700,
		i.cfg.Path("volumes"): 0o700, filepath.Join(run, "server"): 0o755,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := ownAll(dir, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// own gives a file to the service user; nothing when we are not root.
func own(path string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("owner of %s: %w", path, err)
	}
	return nil
}

// ownAll gives a folder to the service user; with everything in it if it was
// another's, as after the user was removed and made again.
func ownAll(dir string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("owner of %s: %w", path, err)
		}
		if err := os.Lchown(path, uid, gid); err != nil {
			return fmt.Errorf("owner of %s: %w", path, err)
		}
		return nil
	})
}

// installGuest copies the tiny guest's kernel, which lies beside its image: the
// agent boots it to see whether an accelerator works. Without it nothing is probed.
func (i *Installation) installGuest() error {
	if i.cfg.Simulated() {
		return nil
	}
	for _, name := range []string{"vmlinuz", "initrd.img"} {
		from, to := filepath.Join(filepath.Dir(i.imageFile()), name), i.cfg.Path("guest", name)
		if from == to {
			continue
		}
		fi, err := os.Stat(from)
		if err != nil {
			continue // an image of the operator's own
		}
		if have, err := os.Stat(to); err == nil && have.Size() == fi.Size() && !have.ModTime().Before(fi.ModTime()) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("kernel of the tiny guest: %w", err)
		}
		if err := copyFile(from, to, 0o644); err != nil {
			return fmt.Errorf("kernel of the tiny guest: %w", err)
		}
	}
	return nil
}

// Certificates makes or renews every certificate of this machine. It is called
// by up and, every hour, by the supervisor.
func (i *Installation) Certificates() (changed bool, err error) {
	uid, gid, err := plan.Account()
	if err != nil {
		return false, err
	}
	server, agent := i.cfg.Server(), i.cfg.Agent()
	master, err := pki.MasterKey(server.MasterKeyFile)
	if err != nil {
		return false, err
	}
	authority, err := pki.OpenAuthority(pki.FilesIn(i.cfg.DataDir), master, i.cfg.HostName, i.Clock)
	if err != nil {
		return false, err
	}
	names := doorNames(i.cfg)
	var door, bus, own1 bool
	if !i.cfg.InsecureHTTP {
		if door, err = authority.EnsureDoor(server.CertFile, server.KeyFile, names); err != nil {
			return false, err
		}
	}
	local := pki.Names{Hosts: []string{"localhost"}, Addresses: names.Addresses}
	if bus, err = authority.EnsureBus(server.Bus.CertFile, server.Bus.KeyFile, pki.RoleServer, i.cfg.HostName, local); err != nil {
		return false, err
	}
	if own1, err = authority.EnsureBus(agent.Bus.CertFile, agent.Bus.KeyFile, pki.RoleAgent, i.cfg.HostName, pki.Names{}); err != nil {
		return false, err
	}
	root, err := os.ReadFile(server.CAFile)
	if err != nil {
		return false, fmt.Errorf("root certificate: %w", err)
	}
	if have, err := os.ReadFile(server.Bus.CAFile); err != nil || !bytes.Equal(have, root) {
		if err := os.WriteFile(server.Bus.CAFile, root, 0o644); err != nil {
			return false, fmt.Errorf("root certificate: %w", err)
		}
	}
	for _, path := range []string{server.MasterKeyFile, server.KeyFile, server.Bus.KeyFile,
		pki.FilesIn(i.cfg.DataDir).RootKey, pki.FilesIn(i.cfg.DataDir).IntermediateKey} {
		if path == "" {
			continue
		}
		if err := own(path, uid, gid); err != nil {
			return false, err
		}
	}
	return door || bus || own1, nil
}

// doorNames is what the front door may be called: host name, localhost, every
// address of this machine, and what the operator added.
func doorNames(c config.Config) pki.Names {
	n := pki.Names{Hosts: []string{c.HostName, "localhost"}}
	seen := map[netip.Addr]bool{}
	add := func(a netip.Addr) {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsLinkLocalUnicast() && !seen[a] {
			seen[a] = true
			n.Addresses = append(n.Addresses, a)
		}
	}
	add(netip.MustParseAddr("127.0.0.1"))
	add(netip.MustParseAddr("::1"))
	if host, _, err := net.SplitHostPort(c.Listen); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && !a.IsUnspecified() {
			add(a)
		}
	}
	if public, err := netip.ParsePrefix(c.Network.PublicRange); err == nil && !c.Simulated() {
		add(public.Addr().Next()) // of this host on the external network, where it will be
	}
	metadata, err := netip.ParsePrefix(c.Network.MetadataRange)
	if err != nil {
		metadata = netip.Prefix{} // refused by validation
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		addrs = nil // loopback and what was configured remain
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !metadata.Contains(p.Addr()) { // those stand for guests
			add(p.Addr())
		}
	}
	for _, name := range c.ServerNames {
		if a, err := netip.ParseAddr(name); err == nil {
			add(a)
		} else {
			n.Hosts = append(n.Hosts, name)
		}
	}
	return n
}

// ensureBootstrap makes the first passwords, once.
func (i *Installation) ensureBootstrap() (config.Bootstrap, error) {
	path := i.cfg.Server().BootstrapFile
	var b config.Bootstrap
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &b); err != nil {
			return b, fmt.Errorf("first passwords: %w", err)
		}
		return b, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	b = config.Bootstrap{AdminPassword: id.Secret(18), DemoPassword: id.Secret(18), ServicePassword: id.Secret(24)}
	if text, err = json.Marshal(b); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	uid, gid, err := plan.Account()
	if err != nil {
		return b, err
	}
	if err := own(path+".new", uid, gid); err != nil {
		return b, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	return b, nil
}
