package ovs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
)

// openTap attaches to a tap, making it when missing. vnetHeader lets guest and
// kernel pass each other unfinished checksums and large segments; the
// userspace datapath would forward those as they are, so it goes without.
func openTap(name string, vnetHeader bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open tun device: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if vnetHeader {
			flags |= unix.IFF_VNET_HDR
		}
		request.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if errors.Is(err, unix.EBUSY) { // it is being made, or its last guest is about to let go of it
		return nil, errors.Join(fault.Unavailablef("the port's link is in use").Because(err), unix.Close(fd))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach to tap %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "tap:"+name), nil
}

// layTap makes a persistent tap with no address of any kind, if there is none, and
// answers its index, by which one that was made again is told from its predecessor.
// One made here is down: nothing can come in.
func layTap(name string, vnetHeader bool) (int, error) {
	index, err := indexOf(name)
	if errors.Is(err, unix.ENODEV) {
		if err := makeTap(name, vnetHeader); err != nil {
			return 0, err
		}
		index, err = indexOf(name)
	}
	if err != nil {
		return 0, err
	}
	return index, noIPv6(name)
}

func makeTap(name string, vnetHeader bool) error {
	f, err := openTap(name, vnetHeader)
	if err != nil {
		return err
	}
	err = unix.IoctlSetInt(int(f.Fd()), unix.TUNSETPERSIST, 1)
	if err != nil {
		err = fmt.Errorf("keep tap %s: %w", name, err)
	}
	return errors.Join(err, f.Close())
}

// noIPv6 keeps the host from having a link-local address on a guest's link.
func noIPv6(name string) error {
	err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6"), []byte("1"), 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without IPv6 gives no link-local address
	}
	return err
}

func missing(err error) bool {
	var gone netlink.LinkNotFoundError
	return errors.As(err, &gone)
}

func linkExists(name string) bool {
	_, err := netlink.LinkByName(name)
	return err == nil
}

// tapLinks lists all links, and of them the taps whose name has a prefix and
// the beginning of a UUID. Bridges and patches have names that are none.
func tapLinks(prefix string) (links, taps map[string]bool, err error) {
	list, err := netlink.LinkList()
	if err != nil {
		return nil, nil, fmt.Errorf("list links: %w", err)
	}
	links, taps = map[string]bool{}, map[string]bool{}
	for _, l := range list {
		name := l.Attrs().Name
		links[name] = true
		rest, ours := strings.CutPrefix(name, prefix)
		if ours && l.Type() == "tuntap" && len(rest) == tapDigits && strings.Trim(rest, "0123456789abcdef") == "" {
			taps[name] = true
		}
	}
	return links, taps, nil
}

// tapDigits are the digits of a port's id in the name of its tap.
const tapDigits = 9

// removeLinks removes links that may be gone already. The kernel waits for all
// processors with each removal, and lets nobody change a link meanwhile: so those of
// many ports go as one group.
func removeLinks(group uint32, names ...string) error {
	list, err := netlink.LinkList()
	if err != nil || len(names) == 1 {
		var failed []error
		for _, name := range names {
			failed = append(failed, removeLink(name))
		}
		return errors.Join(failed...)
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	var found []linkChange
	for _, link := range list {
		if wanted[link.Attrs().Name] {
			found = append(found, linkChange{index: link.Attrs().Index, group: group})
		}
	}
	failed, err := changeLinks(found)
	for _, why := range failed {
		if !errors.Is(why, unix.ENODEV) {
			err = errors.Join(err, why)
		}
	}
	if err != nil || len(found) == 0 {
		return err
	}
	request := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	request.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	if _, err := request.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("remove %d links: %w", len(names), err)
	}
	return nil
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if missing(err) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}
