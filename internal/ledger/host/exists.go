package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/mekcloud/mek/internal/ledger"
)

// Exists tells whether a change is on the machine. Packages always are: the
// package system is the one to ask, and uninstall leaves them.
func (Host) Exists(ctx context.Context, c ledger.Change) (bool, error) {
	switch c.Kind {
	case ledger.Link, ledger.Bridge:
		return linkExists(c)
	case ledger.Namespace:
		return pathExists(filepath.Join("/run/netns", c.Name))
	case ledger.Table:
		tables, err := findTables(ctx, c.Name)
		return len(tables) > 0, err
	case ledger.Route:
		r, h, err := findRoute(c)
		if h != nil {
			h.Close()
		}
		return r != nil, err
	case ledger.Mount:
		return mounted(c.Name)
	case ledger.User:
		return accountExists(true, c.Name)
	case ledger.Group:
		return accountExists(false, c.Name)
	case ledger.Sysctl:
		return pathExists(sysctlPath(c.Name))
	case ledger.File, ledger.Dir, ledger.Cgroup:
		return pathExists(c.Name)
	case ledger.Unit:
		return pathExists(filepath.Join("/etc/systemd/system", c.Name))
	}
	return true, nil
}

func linkExists(c ledger.Change) (bool, error) {
	h, err := handle(c)
	if err != nil || h == nil {
		return false, err
	}
	defer h.Close()
	_, err = h.LinkByName(c.Name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return false, nil
	}
	return err == nil, err
}

func pathExists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func mounted(path string) (bool, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return false, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == path {
			return true, nil
		}
	}
	return false, nil
}
