package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mekcloud/mek/internal/db"
)

type cluster struct {
	dir    string
	bin    string
	attr   *syscall.SysProcAttr
	server *exec.Cmd
	log    *bytes.Buffer
}

const prefix = "mek-dbtest-"

var started struct { // the one cluster of this process
	sync.Mutex
	c   *cluster
	err error
}

// Main runs the tests of a package and then stops the cluster, if one was
// started: func TestMain(m *testing.M) { dbtest.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	started.Lock()
	if started.c != nil {
		started.c.stop()
	}
	os.Exit(code)
}

func shared() (*cluster, error) {
	started.Lock()
	defer started.Unlock()
	if started.c == nil && started.err == nil {
		if started.c, started.err = start(nil); started.err == nil {
			started.err = started.c.template()
		}
	}
	return started.c, started.err
}

// start makes a cluster in a folder that prepare, if any, has made something of.
func start(prepare func(dir string) error) (*cluster, error) {
	sweep()
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", prefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, err
	}
	if prepare != nil {
		if err := prepare(dir); err != nil {
			return nil, err
		}
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "mek", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if prepare != nil {
		initdb.Args = append(initdb.Args, "--wal-segsize=1") // it may be a small place
	}
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	c := &cluster{dir: dir, bin: bin, attr: attr, log: new(bytes.Buffer)}
	return c, c.run()
}

// run starts the server process and waits until it answers.
func (c *cluster) run() error {
	c.server = exec.Command(filepath.Join(c.bin, "postgres"), "-D", filepath.Join(c.dir, "data"), "-k", c.dir, "-F",
		"-c", "listen_addresses=", "-c", "max_connections=300", "-c", "full_page_writes=off", "-c", "autovacuum=off")
	c.server.SysProcAttr, c.server.Dir, c.server.Stderr = c.attr, c.dir, c.log
	if err := c.server.Start(); err != nil {
		return err
	}
	return c.ready()
}

// template makes the migrated database that others are copied from.
func (c *cluster) template() error {
	if err := c.query(context.Background(), "CREATE DATABASE template_mek TEMPLATE template0"); err != nil {
		return err
	}
	d, err := db.Open(context.Background(), c.url("template_mek"))
	if err != nil {
		return err
	}
	return d.Close()
}

func (c *cluster) ready() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := c.query(context.Background(), "SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %s", err, c.log)
		}
		time.Sleep(5 * time.Millisecond) // there is nothing to wait on but the socket
	}
}

func (c *cluster) stop() {
	_ = c.server.Process.Signal(syscall.SIGQUIT) // may be gone already
	_ = c.server.Wait()                          // reports the signal
	_ = os.RemoveAll(c.dir)                      // the next process tries again
}

func (c *cluster) url(database string) string {
	v := url.Values{"host": {c.dir}, "user": {"mek"}, "pool_max_conns": {"12"}}
	return "postgres:///" + database + "?" + v.Encode()
}

func (c *cluster) query(ctx context.Context, text string) error {
	conn, err := pgx.Connect(ctx, "postgres:///postgres?"+url.Values{"host": {c.dir}, "user": {"mek"}}.Encode())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, text)
	return errors.Join(err, conn.Close(ctx))
}

// binaries finds the newest installed server.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		path, err := exec.LookPath("postgres")
		return filepath.Dir(path), err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // not a number: oldest
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged says how to start a child that dies with this process; root
// hands the directory to another user, since PostgreSQL refuses root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}

// sweep removes what processes that are gone left behind.
func sweep() {
	dirs, _ := filepath.Glob("/tmp/" + prefix + "*") // the pattern is well formed
	for _, d := range dirs {
		word, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), prefix), "-")
		pid, err := strconv.Atoi(word)
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(d, "data", "postmaster.pid")); err == nil && alive(d) {
			continue
		}
		_ = os.RemoveAll(d) // another process may be at it too
	}
}

// alive tells whether the server of a directory still runs.
func alive(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return false
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	return err == nil && syscall.Kill(pid, 0) == nil
}
