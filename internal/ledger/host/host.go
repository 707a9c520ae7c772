package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/ledger"
)

// Host is this machine. The zero value is ready; safe for concurrent use.
type Host struct{}

// Undo takes one change back. Packages are never removed: Undo refuses them.
func (Host) Undo(ctx context.Context, c ledger.Change) error {
	switch c.Kind {
	case ledger.Link, ledger.Bridge:
		return removeLink(c)
	case ledger.Namespace:
		return removeNamespace(c.Name)
	case ledger.Table:
		return removeTable(ctx, c)
	case ledger.Route:
		return removeRoute(c)
	case ledger.Sysctl:
		return restoreSysctl(c)
	case ledger.Mount:
		return unmount(c.Name)
	case ledger.User:
		return removeAccount(ctx, "userdel", c.Name)
	case ledger.Group:
		return removeAccount(ctx, "groupdel", c.Name)
	case ledger.File:
		return restoreFile(c)
	case ledger.Dir:
		return removeDir(c)
	case ledger.Unit:
		return removeUnit(ctx, c.Name)
	case ledger.Cgroup:
		return removeCgroups(c.Name)
	}
	return fmt.Errorf("%s cannot be taken back by itself", c.Kind)
}

// handle opens netlink in the namespace that the change was made in; nil when
// that namespace is gone, and everything in it with it.
func handle(c ledger.Change) (*netlink.Handle, error) {
	name := c.Detail["netns"]
	if name == "" {
		return netlink.NewHandle(unix.NETLINK_ROUTE)
	}
	ns, err := netns.GetFromName(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	defer ns.Close()
	return netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
}

func removeLink(c ledger.Change) error {
	h, err := handle(c)
	if err != nil || h == nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(c.Name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return err
	}
	err = h.LinkDel(link)
	if errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}

func removeNamespace(name string) error {
	path := filepath.Join("/run/netns", name)
	if err := unmount(path); err != nil {
		return err
	}
	return absent(os.Remove(path))
}

// removeTable asks nft(8): netlink's own form of the request differs by kernel.
func removeTable(ctx context.Context, c ledger.Change) error {
	tables, err := findTables(ctx, c.Name)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := run(ctx, "nft", "delete", "table", t[0], t[1]); err != nil {
			return err
		}
	}
	return nil
}

// findTables is family and name of the tables that a change means.
func findTables(ctx context.Context, want string) ([][2]string, error) {
	path, err := exec.LookPath("nft")
	if err != nil {
		return nil, nil // without nft(8) we never made a table
	}
	out, err := exec.CommandContext(ctx, path, "list", "tables").Output()
	if err != nil {
		return nil, fmt.Errorf("list nft tables: %w", err)
	}
	var found [][2]string
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "table" && (f[1]+" "+f[2] == want || f[2] == want) {
			found = append(found, [2]string{f[1], f[2]})
		}
	}
	return found, nil
}

func removeRoute(c ledger.Change) error {
	r, h, err := findRoute(c)
	if err != nil || h == nil {
		return err
	}
	defer h.Close()
	if r == nil {
		return nil
	}
	err = h.RouteDel(r)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

func findRoute(c ledger.Change) (*netlink.Route, *netlink.Handle, error) {
	h, err := handle(c)
	if err != nil || h == nil {
		return nil, nil, err
	}
	dst, err := netlink.ParseIPNet(c.Name)
	if err != nil {
		h.Close()
		return nil, nil, fmt.Errorf("route %q: %w", c.Name, err)
	}
	routes, err := h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Dst: dst}, netlink.RT_FILTER_DST)
	if err != nil {
		h.Close()
		return nil, nil, err
	}
	for _, r := range routes {
		link, err := h.LinkByIndex(r.LinkIndex)
		if c.Detail["dev"] == "" || err == nil && link.Attrs().Name == c.Detail["dev"] {
			return &r, h, nil
		}
	}
	return nil, h, nil
}

func sysctlPath(key string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
}

func restoreSysctl(c ledger.Change) error {
	return absent(os.WriteFile(sysctlPath(c.Name), []byte(c.Old), 0))
}

func unmount(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // not a mount point, or not there
	}
	return err
}

func removeAccount(ctx context.Context, program, name string) error {
	if there, err := accountExists(program == "userdel", name); err != nil || !there {
		return err
	}
	return run(ctx, program, name)
}

func accountExists(isUser bool, name string) (bool, error) {
	var err error
	if isUser {
		_, err = user.Lookup(name)
	} else {
		_, err = user.LookupGroup(name)
	}
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	if errors.As(err, &noUser) || errors.As(err, &noGroup) {
		return false, nil
	}
	return err == nil, err
}

// restoreFile removes our file, or puts back the copy of what was there.
func restoreFile(c ledger.Change) error {
	if c.Old == "" {
		return absent(os.Remove(c.Name))
	}
	if _, err := os.Lstat(c.Old); errors.Is(err, os.ErrNotExist) {
		return nil // put back already, or the change was never made
	}
	return os.Rename(c.Old, c.Name)
}

// removeDir deletes a folder. Detail "keep" names folders that may hold what
// is not ours: they go only when empty.
func removeDir(c ledger.Change) error {
	if c.Detail["keep"] == "" {
		return os.RemoveAll(c.Name)
	}
	err := os.Remove(c.Name)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.EBUSY) { // EBUSY: a control group with others in it
		return nil
	}
	return absent(err)
}

func removeUnit(ctx context.Context, name string) error {
	if _, err := exec.LookPath("systemctl"); err != nil {
		return nil
	}
	if err := run(ctx, "systemctl", "disable", "--now", name); err != nil {
		return err
	}
	if err := absent(os.Remove(filepath.Join("/etc/systemd/system", name))); err != nil {
		return err
	}
	return run(ctx, "systemctl", "daemon-reload")
}

// removeCgroups kills what is left in a group and removes it with all below.
func removeCgroups(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
		return err
	}
	var dirs []string
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = absent(os.Remove(dirs[i]))
	}
	return err
}

func absent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
