package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/pki"
)

// Central is the part of OVN that the server needs, once per cloud.
type Central struct {
	Data string // databases
	Run  string // sockets
	Logs string
	// UID and GID run the processes; 0 leaves those of the caller.
	UID, GID int
}

// Northbound is the endpoint of the northbound database.
func (c Central) Northbound() string { return "unix:" + c.path("nb.sock") }

// Southbound is the endpoint that agents' ovn-controller needs.
func (c Central) Southbound() string { return "unix:" + c.path("sb.sock") }

func (c Central) path(name string) string { return filepath.Join(c.Run, name) }

// Prepare makes directories and databases that are missing, and brings old
// ones to the schema that is installed. The databases must not be running
// when their schema changes.
func (c Central) Prepare(ctx context.Context) error {
	if err := makeDirs(c.UID, c.GID, c.Data, c.Run, c.Logs); err != nil {
		return err
	}
	for _, db := range []string{"nb", "sb"} {
		file := filepath.Join(c.Data, db+".db")
		if err := prepareDB(ctx, file, "/usr/share/ovn/ovn-"+db+".ovsschema", c.path(db+".sock")); err != nil {
			return err
		}
		lock := filepath.Join(c.Data, "."+db+".db.~lock~") // of ovsdb-tool, which ran as who we are
		for _, f := range []string{file, lock} {
			if err := give(f, c.UID, c.GID); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return c.prepareKeys()
}

// prepareKeys makes what the southbound tells hosts by.
func (c Central) prepareKeys() error {
	if _, err := pki.EnsureLocal(KeysIn(c.Data), SouthboundName, clock.Real{}); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(KeysIn(c.Data), "*"))
	for _, f := range append(files, KeysIn(c.Data)) {
		err = errors.Join(err, give(f, c.UID, c.GID))
	}
	return err
}

// SouthboundName is who the southbound database is, for who calls it by TLS.
const SouthboundName = "ovn-southbound"

// KeysIn is the folder of the southbound's keys.
func KeysIn(data string) string { return filepath.Join(data, "keys") }

// Processes lists what to run, in order of start.
func (c Central) Processes() ([]engine.Process, error) {
	var out []engine.Process
	for _, db := range []string{"nb", "sb"} {
		p, err := ovsdbServer("ovn-"+db, filepath.Join(c.Data, db+".db"), c.path(db+".sock"), c.path(db+".ctl"), c.Logs)
		if err != nil {
			return nil, err
		}
		if db == "sb" {
			keys := pki.OpenLocal(KeysIn(c.Data))
			p.Args = append(p.Args, "--remote=db:OVN_Southbound,SB_Global,connections", "--private-key="+keys.Key(), "--certificate="+keys.Certificate(), "--ca-cert="+keys.Authority())
		}
		out = append(out, p)
	}
	northd, err := program("ovn-northd")
	if err != nil {
		return nil, err
	}
	out = append(out, engine.Process{
		Name: "ovn-northd", Path: northd, Env: runDirs(c.Run), Dir: c.Run, Log: filepath.Join(c.Logs, "ovn-northd.log"), Ready: dials(c.path("northd.ctl")),
		Args: []string{"--ovnnb-db=" + c.Northbound(), "--ovnsb-db=" + c.Southbound(), "--unixctl=" + c.path("northd.ctl"), "-vsyslog:off", "-vconsole:info"},
	})
	for i := range out {
		out[i].UID, out[i].GID = c.UID, c.GID
	}
	return out, nil
}

// Host is the part of Open vSwitch and OVN that each agent needs.
type Host struct {
	Data      string // database
	Run       string // sockets
	Logs      string
	Userspace bool // the kernel has no datapath
	// Identity is what ovn-controller must read from the first moment: the
	// host's name (without, it crashes) and its bridge (without, it makes one).
	Identity map[string]string
}

// Database is the endpoint of the host's switch database.
func (h Host) Database() string { return "unix:" + h.Socket() }

// Socket is the path of the host's switch database.
func (h Host) Socket() string { return filepath.Join(h.Run, "db.sock") }

// Prepare makes directories and the database when missing. A new database
// says at once who the host is.
func (h Host) Prepare(ctx context.Context) error {
	if err := makeDirs(0, 0, h.Data, h.Run, h.Logs); err != nil {
		return err
	}
	file := filepath.Join(h.Data, "conf.db")
	_, missing := os.Stat(file)
	if err := prepareDB(ctx, file, "/usr/share/openvswitch/vswitch.ovsschema", h.Socket()); err != nil || missing == nil {
		return err
	}
	pairs := make([][2]string, 0, len(h.Identity))
	for k, v := range h.Identity {
		pairs = append(pairs, [2]string{k, v})
	}
	row := map[string]any{"external_ids": []any{"map", pairs}}
	first, err := json.Marshal([]any{"Open_vSwitch", map[string]any{"op": "insert", "table": "Open_vSwitch", "row": row}})
	if err != nil {
		return fmt.Errorf("first row of the switch's database: %w", err)
	}
	tool, err := program("ovsdb-tool")
	if err != nil {
		return err
	}
	return run(ctx, tool, "transact", file, string(first))
}

// Processes lists what to run, in order of start.
func (h Host) Processes() ([]engine.Process, error) {
	at := func(name string) string { return filepath.Join(h.Run, name) }
	db, err := ovsdbServer("ovs-db", filepath.Join(h.Data, "conf.db"), h.Socket(), at("db.ctl"), h.Logs)
	if err != nil {
		return nil, err
	}
	db.Nice = switchNice
	vswitchd, err1 := program("ovs-vswitchd")
	controller, err2 := program("ovn-controller")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	args := []string{h.Database(), "--unixctl=" + at("vswitchd.ctl"), "-vsyslog:off", "-vconsole:info"}
	if h.Userspace {
		args = append(args, "--disable-system", "--disable-system-route")
	}
	return []engine.Process{db, {
		Name: "ovs-vswitchd", Path: vswitchd, Args: args, Env: runDirs(h.Run), Dir: h.Run, Log: filepath.Join(h.Logs, "ovs-vswitchd.log"),
		Ready: dials(at("vswitchd.ctl")), Nice: switchNice,
	}, {
		// Its control socket carries its process id (OVN 23.03 has no --unixctl).
		Name: "ovn-controller", Path: controller, Args: []string{h.Database(), "-vsyslog:off", "-vconsole:info"},
		Env: runDirs(h.Run), Dir: h.Run, Log: filepath.Join(h.Logs, "ovn-controller.log"), Ready: dials(at("ovn-controller.*.ctl")), Nice: switchNice,
	}}, nil
}

// switchNice lets the switch, and what tells it what to do, work before guests that
// take all processors: every guest's frames wait for it. Their packages' own starts
// of them do the same.
const switchNice = -10

func ovsdbServer(name, file, socket, ctl, logs string) (engine.Process, error) {
	path, err := program("ovsdb-server")
	return engine.Process{
		Name: name, Path: path, Dir: filepath.Dir(socket), Env: runDirs(filepath.Dir(socket)), Log: filepath.Join(logs, name+".log"),
		Args:  []string{file, "--remote=punix:" + socket, "--unixctl=" + ctl, "-vsyslog:off", "-vconsole:info"},
		Ready: dials(socket),
	}, err
}

func runDirs(dir string) []string {
	return []string{"OVS_RUNDIR=" + dir, "OVN_RUNDIR=" + dir, "OVS_SYSCONFDIR=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
}

// program finds an installed program. Daemons live where a user's PATH often
// does not lead.
func program(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s is not installed", name)
}

// dials is ready when a socket of that name pattern accepts. Sockets that dead
// processes left behind refuse.
func dials(pattern string) func(context.Context) error {
	return func(ctx context.Context) error {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		failure := fmt.Errorf("no socket %s yet", pattern)
		for _, path := range paths {
			d := net.Dialer{Timeout: time.Second}
			conn, err := d.DialContext(ctx, "unix", path)
			if err == nil {
				return conn.Close()
			}
			failure = err
		}
		return failure
	}
}

func makeDirs(uid, gid int, dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("directory of a network engine: %w", err)
		}
		if err := give(dir, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func give(path string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("owner of a network engine's file: %w", err)
	}
	return nil
}

// prepareDB creates a database, or converts one that nobody serves now.
func prepareDB(ctx context.Context, file, schema, socket string) error {
	tool, err := program("ovsdb-tool")
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return run(ctx, tool, "create", file, schema)
	}
	if dials(socket)(ctx) == nil {
		return nil
	}
	return run(ctx, tool, "convert", file, schema)
}

// run waits for a short-lived program; its output is the error's text.
func run(ctx context.Context, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(path), args[0], err, out)
	}
	return nil
}
