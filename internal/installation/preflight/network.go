package preflight

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
)

// ports looks for free ports: the front door's and the bus's.
func ports(w Want, choices Choices) Result {
	const name = "ports"
	if w.Running {
		return ok(name, "%s is ours", w.Config.Listen)
	}
	listen, err := freePort(w.Config.Listen, w.ListenGiven, func(port int) []int {
		return []int{port, 8443, 9443, 10443}
	})
	if err != nil {
		return blocked(name, err.Error(), "choose another: mek up --listen HOST:PORT")
	}
	note := func(key, was, now string) {
		if was != now {
			choices[key] = now
		}
	}
	note("listen", w.Config.Listen, listen)
	for key, was := range map[string]string{"bus.listen": w.Config.Bus.Listen, "bus.streams": w.Config.Bus.Streams, "objectstore.listen": w.Config.ObjectListen()} {
		if was == "" {
			continue
		}
		now, err := freePort(was, false, func(port int) []int {
			return []int{port, port + 100, port + 200, port + 300, port + 400}
		})
		if err != nil {
			return blocked(name, err.Error(), "set "+key+" in mek.yaml")
		}
		note(key, was, now)
	}
	if listen != w.Config.Listen {
		return limited(name, fmt.Sprintf("%s is taken, %s is used", w.Config.Listen, listen), "choose another: mek up --listen HOST:PORT")
	}
	return ok(name, "%s is free", listen)
}

// freePort returns the first address that can be listened on.
func freePort(address string, only bool, candidates func(int) []int) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT", address)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", fmt.Errorf("%q has no valid port", address)
	}
	var first error
	for _, try := range candidates(n) {
		at := net.JoinHostPort(host, strconv.Itoa(try))
		l, err := net.Listen("tcp", at)
		if err == nil {
			if try == 0 {
				at = l.Addr().String()
			}
			_ = l.Close() // nobody was accepted
			return at, nil
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("port %d is taken%s", try, holder(try))
		}
		if first == nil {
			first = err
		}
		if only {
			break
		}
	}
	return "", first
}

// holder names the process that listens on a port, if it can be seen.
func holder(port int) string {
	inode := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		if found := listenerInode(string(b), port); found != "" {
			inode = found
			break
		}
	}
	if inode == "" {
		return ""
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(link, "/")[2]
			name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			if err != nil {
				return ""
			}
			return fmt.Sprintf(" by %s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// listenerInode reads a table of /proc/net: the inode of the socket that
// listens on the port, or nothing.
func listenerInode(table string, port int) string {
	const listening = "0A"
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listening {
			continue
		}
		_, hexPort, found := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(hexPort, 16, 16)
		if found && err == nil && int(n) == port {
			return f[9]
		}
	}
	return ""
}

// ranges chooses address ranges that overlap no route of this machine.
func ranges(w Want, choices Choices) Result {
	const name = "address ranges"
	if w.Fixed {
		return ok(name, "%s, %s", w.Config.Network.PublicRange, w.Config.Network.PrivateRange)
	}
	taken, err := routes()
	if err != nil {
		return limited(name, "routes cannot be read: "+err.Error(), "check that "+w.Config.Network.PublicRange+" is free")
	}
	public := append([]string{w.Config.Network.PublicRange}, series("172.24.%d.0/24", 5, 64)...)
	public = append(public, series("172.31.%d.0/24", 200, 256)...)
	private := append([]string{w.Config.Network.PrivateRange}, series("10.%d.0.0/24", 21, 128)...)
	metadata := []string{w.Config.Network.MetadataRange}
	for i := range 256 {
		metadata = append(metadata, fmt.Sprintf("100.%d.%d.0/18", 64+i/4, i%4*64))
	}
	for key, candidates := range map[string][]string{
		"network.public_range": public, "network.private_range": private, "network.metadata_range": metadata,
	} {
		pick, conflict := firstFree(candidates, taken)
		if pick == "" {
			return blocked(name, "every range is taken, for example by the route "+conflict.String(), "set "+key+" in mek.yaml")
		}
		if pick != candidates[0] {
			choices[key] = pick
		}
	}
	if len(choices) > 0 {
		if p, found := choices["network.public_range"]; found {
			return ok(name, "%s overlaps a route, %s is used", w.Config.Network.PublicRange, p)
		}
	}
	return ok(name, "%s, %s", w.Config.Network.PublicRange, w.Config.Network.PrivateRange)
}

func series(format string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

func firstFree(candidates []string, taken []netip.Prefix) (string, netip.Prefix) {
	var conflict netip.Prefix
next:
	for _, c := range candidates {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			continue // refused by the configuration's own validation
		}
		for _, t := range taken {
			if t.Overlaps(p) {
				conflict = t
				continue next
			}
		}
		return c, conflict
	}
	return "", conflict
}

// routes is every route of this machine but the default ones.
func routes() ([]netip.Prefix, error) {
	list, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, r := range list {
		if r.Dst == nil {
			continue
		}
		addr, ok := netip.AddrFromSlice(r.Dst.IP)
		ones, _ := r.Dst.Mask.Size()
		if ok && ones > 0 {
			out = append(out, netip.PrefixFrom(addr.Unmap(), ones))
		}
	}
	return out, nil
}
